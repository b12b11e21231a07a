"""Invented answers of arXiv's OAI-PMH interface, in the layout of its own templates."""

RAW = """<arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/">
  <id>2609.10001</id><submitter>Ada Example</submitter>
  <version version="v2"><date>Tue, 15 Sep 2026 17:59:59 GMT</date><size>12kb</size>
    <source_type>D</source_type></version>
  <version version="v1"><date>Tue, 01 Sep 2026 08:00:00 -0000</date><size>11kb</size></version>
  <title>On sorting $n$ things
  with $x&lt;y$</title>
  <authors>Ada Example (1), Bob O'Sample (2) ((1) Here, (2) There)</authors>
  <categories>cs.DS math.CO</categories>
  <comments>12 pages,
  3 figures</comments>
  <journal-ref>J. Ex. 1
  (2026) 2</journal-ref><doi>10.1234/ex</doi>
  <license>http://arxiv.org/licenses/nonexclusive-distrib/1.0/</license>
  <abstract>  We sort.
  And we are done.
</abstract></arXivRaw>"""

SPLIT = """<arXiv xmlns="http://arxiv.org/OAI/arXiv/">
  <id>2609.10002</id><created>2026-09-02</created>
  <authors>
    <author><keyname>The Sorting Collaboration</keyname></author>
    <author><keyname>:</keyname></author>
    <author><keyname>van der Example</keyname><forenames>Ada</forenames><suffix>Jr.</suffix>
      <affiliation>Here, and There</affiliation></author>
  </authors>
  <title>Sorting, split</title><categories>hep-ex</categories></arXiv>"""


def record(metadata: str, number: str = "2609.10001", header: str = "") -> str:
    return f"""<record><header{header}><identifier>oai:arXiv.org:{number}</identifier>
      <datestamp>2026-09-16</datestamp><setSpec>cs:cs:DS</setSpec><setSpec>math:math:CO</setSpec>
      </header>{f"<metadata>{metadata}</metadata>" if metadata else ""}</record>"""


def answer(inside: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>2026-09-16T03:00:00Z</responseDate>
<request verb="ListRecords">https://oai.example/oai</request>
{inside}</OAI-PMH>""".encode()


def listed(*records: str, token: str = "") -> bytes:
    end = f"<resumptionToken expires='2026-09-17T00:00:00Z'>{token}</resumptionToken>"
    return answer(f"<ListRecords>{''.join(records)}{end if token else ''}</ListRecords>")
