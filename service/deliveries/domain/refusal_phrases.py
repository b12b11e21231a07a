"""Phrases of refusals by mail servers, sorted by what they are about.

They are collected from the sources and manuals of the common servers (Exim, Postfix, qmail,
Sendmail, Exchange) and of large providers. The order matters: "mailbox for user is full" is not
about the user, and "user unknown; blocked" is.
"""

from service.deliveries.domain.states import BounceVerdict
from service.platform import linear_regex
from service.platform.linear_regex import LinearPattern

V = BounceVerdict

# Longer than any real reply; it bounds the search time in untrusted text.
MOST_CHARACTERS = 8000


def _any(*patterns: str) -> LinearPattern[str]:
    return linear_regex.compile("|".join(patterns), "i")


_FULL = _any(
    r"(?:over|exceed\w*|excessive|beyond|out of|insufficient|full|usage|reached|hit)[^.\n]{0,40}\bquota|over ?quota",
    r"\bquota\b[^.\n]{0,40}(?:exceed|full|violation|reach|limit|over\b)",
    r"disk quota",
    r"quota ?exceeded",
    r"(?:mail ?box|inbox|account|mail ?folder|mail ?drop|maildir|user|storage)\b[^.\n]{0,40}\b(?:is|was|are)?[ -]?(?:too )?(?:full|overfull|filled up|over ?limit|over the limit|too large)\b",
    r"mailfolder is full",
    r"mail ?box (?:has )?exceed",
    r"(?:exceed\w*|over|reached|above)\b[^.\n]{0,40}(?:storage|mail ?box|disk ?space|allotted|allocated|maximum number of messages|space limit|stored)",
    r"(?:not enough|insufficient|no more|out of|no)\b[^.\n]{0,30}(?:disk ?space|storage|space (?:left|available|on)|free space|room)",
    r"(?:not enough|insufficient) system storage",
    r"would (?:be over|exceed)[^.\n]{0,40}(?:quota|allotment|mail ?box|storage)",
    r"too much mail data",
    r"space (?:is )?not enough",
    r"mail ?box[ _-]?full",
    r"bo[iî]te[^.\n]{0,20}pleine",
    r"postfach[^.\n]{0,20}voll",
)

_CONTENT = _any(
    r"(?:message|mail|e-?mail|size|body|letter|attachment|headers?|content)s?\b(?: too long|[^.\n]{0,40}(?:too (?:big|large)|(?:[^er]|[^u]e|[^e]ue|[^o]r|[^f]or) too long|(?:exceed|over|larger|bigger|greater)\w*[^.\n]{0,30}(?:size|limit|maximum|large|bytes|than)))",
    r"(?:exceed\w*|over|above)[^.\n]{0,30}(?:message|mail|maximum|max|fixed)[^.\n]{0,12}size",
    r"max(?:imum)?[_ ]?message[_ ]?size",
    r"size limit",
    r"(?:executable|illegal|forbidden|prohibited|banned|unacceptable|blocked|suspicious|dangerous|unallowed|not allowed|disallowed)\b[^.\n]{0,30}\b(?:attachment|file ?(?:type|name|extension)|content)",
    r"attachment[^.\n]{0,40}(?:not (?:allowed|accepted|permitted)|prohibited|forbidden|blocked|reject|removed)",
    r"\bvirus(?:es)?\b",
    r"\bmalware\b",
    r"\binfected\b",
    r"\btrojan\b",
    r"\bworm\b",
    r"(?:8-?bit|binary|character set|charset|mime)\b[^.\n]{0,40}(?:not (?:supported|allowed|accepted)|invalid|unsupported|malformed|error|rejected)",
    r"(?:invalid|bad|malformed|missing|duplicate|illegal)\b[^.\n]{0,20}\b(?:header|mime|message-?id header|date header|from header|subject)",
    r"(?:header|from|subject|date)\b[^.\n]{0,20}(?:is missing|missing|malformed|too large|syntax)",
    r"does(?:n't| not) conform to (?:rfc|standards)",
    r"not (?:rfc ?\d+ )?(?:rfc|mime)[- ]complian",
    r"conversion (?:required|failed|prohibited)",
)

_ADDRESS = _any(
    r"(?:user|recipient|mail ?box|account|address|addressee|customer|subscriber|login|alias|destinataire|usuario|local[- ]part|forward-path|mail ?drop)s?\b(?:\W+\w+){0,6}?\W+(?:unknown|not (?:be )?(?:found|known|exist\w*|listed|valid|recogni[sz]ed|registered|local|available|active|here|in\b|present)|non-?existent|invalid|in-?active|disabled|discontinued|deactivated|expired|suspended|closed|terminated|cancell?ed|unavailable|invalide|inconnu|deleted|removed|locked|frozen|blocked|bloque\w*|ambiguous|undeliverable|incorrect|inexist\w*)",
    r"(?:name|person|e-?mail|member|contact)\b(?:\W+\w+){0,2}?\W+(?:unknown|not (?:found|known|exist\w*|valid|registered)|non-?existent|in-?active|invalide|inconnu)",
    r"indicated no smtp service",
    r"n['´’ ]?existe pas|n['´’ ]?est pas (?:valide|connu)",
    r"(?:unknown|invalid|in-?active|illegal|non-?existent|bad|unrouteable|unroutable|undeliverable|unresolvable|disabled|expired|ambiguous|obsolete|incorrect|wrong|undefined|deactivated|closed|suspended|locked)\W+(?:or \w+ )?(?:\w+ ){0,2}?(?:user|recipient|mail ?box|account|address\b|addressee|destination|local[- ]part|rcpt|login|alias|e-?mail address|to address|forward-path|mail ?drop|host|domain)",
    r"no such\W+(?:\w+[ -]){0,3}?(?:user|person|account|mail ?box|recipient|address|customer|name|mail ?drop|local|domain|host|virtual|employee|subscriber|destination|here)",
    r"\bno (?:mail ?box|account|user|valid recipients?|recipients?|local user|matching (?:address|user|recipient))\b",
    r"\b(?:is|are) not (?:a|an) (?:known|valid|existing|active|local|registered)\b",
    r"(?:does|do|did|could)(?:es)?(?:n['´’]?t| not)\W+(?:\w+ ){0,2}?(?:exist|have (?:a|an|any)\b[^.\n]{0,40}(?:account|mail ?box)|receive (?:e-?)?mail|accept (?:e-?)?mail for|match|be found|resolve)",
    r"(?:not|isn't|n't) (?:listed|found|registered|defined) in\b",
    r"not found in (?:the )?(?:directory|domino|address book|ldap|users?)",
    r"not our customer",
    r"(?:no longer|not any ?more|any longer)\b[^.\n]{0,60}(?:valid|server|available|here|in use|active|employ|exist|accept|work|receiv|used|with us|a(?: \w+)? (?:member|employee|student|customer|user))",
    r"(?:has|have|had)(?: been)? (?:left|moved|retired|resigned)\b",
    r"has (?:left|moved|changed)\b[^.\n]{0,40}(?:company|organi[sz]ation|address|job|e-?mail)",
    r"(?:account|mail ?box|user|address|recipient)\b[^.\n]{0,40}(?:has been|was|is|been)\s+(?:temporarily |permanently |currently )?(?:disabled|discontinued|deactivated|suspended|closed|terminated|cancell?ed|deleted|removed|locked|blocked|inactive|expired|dormant|moved)",
    r"(?:host|domain|dns|server)\W+(?:name )?(?:\S+ )?(?:was |is |could |can )?(?:unknown|not found|not be found|does not exist|doesn't exist|lookup (?:failed|error)|non-?existent)",
    r"\bnxdomain\b|domain name not found|no such domain|name or service not known|nullmx|null mx",
    r"(?:unknown|illegal) (?:host|domain)|host unknown|host not found|unknown host",
    r"lookup of \S+ (?:had no relevant answers|responded with code noerror)",
    r"no relevant answers|could(?:n't| not) find any host (?:by that name|named)|mail server for \S+ unreachable or nonexistent",
    r"all relevant mx records point to non-?existent hosts|no mx (?:record|host)|mx points? to (?:0\.0\.0\.0|127\.)",
    r"(?:doesn't|does not|cannot|can't|unable to|will not|won't) receive e?-?mail",
    r"(?:delivery|relay|mail) to (?:this|the following|that) (?:user|address|recipient|mailbox)[^.\n]{0,30}(?:is )?not (?:possible|allowed)",
    r"mail ?box[^.\n]{0,10}unavailable",
    r"mail ?box not available|access to (?:this )?mail ?box|mailbox currently suspended",
    r"requested action not taken: mail ?box",
    r"user (?:\S+ )?(?:is )?not (?:local|known)",
    r"\buser ?unknown\b|\bunknown ?user\b|\buserunknown\b|\bbad ?address\b|\brecipnotfound\b|recipientnotfound|adr\.rec\w+notfound",
    r"this address (?:no longer|is not)|(?:ce|cette) (?:compte|adresse)|adresse[^.\n]{0,40}invalide|destinataire[^.\n]{0,40}(?:invalide|inconnu)",
    r"(?:empf(?:ä|ae)nger|benutzer|adresse)[^.\n]{0,30}(?:unbekannt|existiert nicht|ung(?:ü|ue)ltig)",
    r"is not (?:one of|accepting|currently accepting|allowed to receive|permitted to receive|able to receive)",
    r"unable to validate recipient|recipient verif\w+ fail|failed to route the address|can't verify recipient|addressee unknown|unrecogni[sz]ed recipient",
    r"this user doesn't have\b",
    r"\bno valid (?:hosts?|recipient|cert)|\bretry timeout exceeded for address\b",
    r"dest(?:ination|inatario)[^.\n]{0,20}(?:desconocid|unknown|inexist)",
    r"mail ?box[^.\n]{0,10}does not exist",
    r"\bnot (?:a )?(?:deliverable|valid mailbox)\b",
)

_POLICY = _any(
    r"\bspam\w*\b",
    r"\bunsolicited\b|\bbulk (?:e-?)?mail\b|\bUBE\b|\bjunk\b|\bphish\w*",
    r"(?:block|black|deny|reject|grey|gray) ?-?list",
    r"\b[dr]nsbl?\b|\brbl\b|spamhaus|spamcop|sorbs|barracuda|cloudmark|senderscore|uceprotect",
    r"(?:access|connection|client|host|mail|message|sender|permission|service|request|relay\w*)s?\b(?:\W+\w+){0,4}?\W+(?:denied|refused|prohibited|forbidden|blocked|banned|not (?:allowed|permitted|accepted|authori[sz]ed)|rejected)",
    r"(?:denied|refused|rejected|blocked|not accepted|prohibited|restricted)\b[^.\n]{0,40}\b(?:polic|by (?:the )?(?:recipient|administrator|filter|rule|site|server|user|our)|for abuse|security|reputation|sender|ip\b|network|preferences)",
    r"\bpolic(?:y|ies)\b",
    r"reputation",
    r"(?:too many|rate|frequency|throttl|excessive)\W*(?:\w+ )?(?:limit|connections|messages|e?-?mails?|recipients|sessions|invalid|unknown)",
    r"\bthrottl|rate[- ]limit|ratelimit|try again later because|temporarily deferred|deferred due to",
    r"\b(?:spf|dkim|dmarc|sender ?id|domainkeys|arc)\b",
    r"unauthenticated|not authenticated|authentication[ -]?required|authrequired|must authenticate|auth(?:entication)? fail|sender (?:verify|verification) fail|requires authentication",
    r"reverse dns|\bptr\b|rdns|no (?:valid )?(?:a record|reverse)|forward dns|dynamic ip|dial-?up",
    r"(?:ip|address|network|server|domain)\b[^.\n]{0,40}\b(?:blocked|banned|blacklisted|bloquee|listed|refused|restricted|suspicious)",
    r"relay(?:ing)?\W+(?:\w+ ){0,3}?(?:denied|prohibited|not (?:allowed|permitted|possible)|disallowed|refused)|not (?:configured|allowed|permitted) to relay|unable to relay|(?:may not|cannot|can't|won't|do not|does not|no) relay",
    r"(?:message|content|mail)\W+(?:\w+ ){0,3}?(?:rejected|refused|not accepted|not allowed|discarded|filtered)",
    r"not accept(?:ed|ing)?\W+(?:\w+ ){0,3}(?:from|sender|your|mail|messages|connections)|we do not accept|(?:not|n't) (?:wish|want) to receive",
    r"(?:sender|from)\b[^.\n]{0,30}(?:not (?:on|in) (?:the )?(?:allow|white|approved|safe)|is blocked|blocked|unwelcome|restricted)",
    r"\babus(?:e|ive)\b|complaint|\bfilter(?:ed|s)?\b|content filter|profanity",
    r"greylist|graylist|grey-list|please try again|try again later",
    r"service refus|refused due to recipient preferences|closed (?:group|list)|not (?:a )?(?:member|subscribed|allowed to post)|moderat",
    r"only (?:accept|allow)s? (?:mail|messages)",
)

_CONFIGURATION = _any(
    r"(?:connect\w*|connection|session|smtp|response|conversation|network)\b[^.\n]{0,60}(?:timed? ?-?out|time ?out|refused|lost|reset|failed|dropped|unexpectedly|interrupted|broken|closed|error)",
    r"(?:timed? ?-?out|time ?out|no answer|no response|unreachable|no route to host|not respond|connection refused|network is down)",
    r"too many hops|mail loop|\blooping\b|loop(?:s|ing)? (?:back|detected)|routing loop|hop count|loop count|mail forwarding loop|excessive recursion|configuration error|misconfigur",
    r"(?:message|mail|queue|delivery|retry)\b[^.\n]{0,40}(?:expired|timeout exceeded|in (?:the )?queue too long|time[- ]?out|too old)",
    r"(?:message|mail|it)\b[^.\n]{0,50}(?:has|have|had) been in (?:the|my) queue",
    r"(?:unable|not able|could not|couldn't|failed|can't|cannot)\b[^.\n]{0,30}(?:connect|contact|establish|reach|deliver (?:this|your) message after|dns|resolve|lookup)",
    r"system (?:error|not accepting|not capable|resources|incorrectly)|not accepting (?:connections|network)|service (?:not|un)available|server (?:error|busy|too busy|down)|(?:internal|local|i/o|disk|unexpected|resource|software|database) (?:\w+ )?(?:error|failure|problem)|temporary (?:failure|failed|lookup)|temporarily unavailable",
    r"command (?:not|unrecogni[sz]ed|rejected|died|output)|syntax error|protocol error|bad sequence|unrecogni[sz]ed command|not implemented|must issue|need (?:mail|rcpt)|data command",
    r"(?:return ?path|sender|envelope|mail from|from) (?:address )?(?:domain )?(?:\S+ )?(?:rejected|invalid|unknown|must|not exist|does not exist|cannot be)",
    r"invalid domain|domain of sender|sender domain|(?:sender|from) address",
    r"tls\b|certificate|starttls|encryption",
    r"dns (?:error|failure|timeout|server)|mx (?:lookup|loop)|name ?server|resolver",
    r"can(?:not|'t) (?:create|open|write|lock|append)|permission denied|exec\w* fail|exit status|unknown mailer error|(?:mail|program) (?:delivery )?(?:program|agent)",
)

# About the sender's address; later patterns would take it for the recipient's.
_OUR_ADDRESS = _any(
    r"(?:sender|return[- ]path|reverse[- ]path|mail from|from address|envelope[- ](?:sender|from))(?: e?-?mail)?(?: address)?(?: domain)?\W+(?:\S+ ){0,3}?(?:rejected|invalid|unknown|not (?:found|exist|valid)|does not exist|must|is not|verify failed|verification failed)",
    r"(?:invalid|unknown|bad|illegal|unresolvable|unroutable|unrouteable)\W+(?:sender|return[- ]path|from address|mail from)\b",
    r"domain of (?:the )?sender",
    r"(?:helo|ehlo)\b[^.\n]{0,40}(?:reject|invalid|denied|refus|bad|must|mismatch)|my name was rejected",
)

# Phrases used of senders only. They come before the address, because to suppress a subscriber over
# a block list is worse than to keep a dead address.
_SURE_POLICY = _any(
    r"\bspam(?:ming|med)?\b|\bunsolicited\b|\bphish\w*|\bUBE\b|likely suspicious",
    r"(?:black|block|deny)-?list(?:ed|s|ing)?\b",
    r"\b[dr]nsbl?\b|\brbl\b|spamhaus|spamcop|uceprotect|senderscore",
    r"\b(?:spf|dkim|dmarc|sender ?id|domainkeys)\b",
    r"reverse dns|\bptr\b|\brdns\b",
    r"(?:relay|sending|sender|hourly|daily|message rate) (?:quota|limit)|rate[- ]limit|throttl",
    r"\breputation\b|for policy reasons|banned sending ip|unauthenticated (?:e-?mail|sender)",
    r"(?:client host|\bip\b|ip address|connection|host)\W+(?:\S+ ){0,3}?(?:rejected|blocked|banned|denied|refused by policy)",
    r"relay(?:ing)?\W+(?:\w+ ){0,2}?(?:denied|prohibited|not (?:allowed|permitted)|disallowed)|not (?:configured|allowed|permitted) to relay",
)

_SURE_CONTENT = _any(
    r"(?:duplicate|multiple) (?:\S+ )?headers?|not rfc ?\d+ complian",
    r"(?:message|mail|letter) size exceed",
)

# A temporary lookup failure says nothing about the address.
_PASSING = _any(r"(?:host|domain)[^.\n]{0,20} not found,? try again|temporary (?:dns|lookup|name)")

_ORDER: tuple[tuple[BounceVerdict, LinearPattern[str]], ...] = (
    (V.CONFIGURATION, _OUR_ADDRESS),
    (V.CONFIGURATION, _PASSING),
    (V.CONTENT, _SURE_CONTENT),
    (V.POLICY, _SURE_POLICY),
    (V.FULL, _FULL),
    (V.CONTENT, _CONTENT),
    (V.ADDRESS, _ADDRESS),
    (V.POLICY, _POLICY),
    (V.CONFIGURATION, _CONFIGURATION),
)

# Postfix writes this before every refusal at RCPT, whatever the reason after the colon. The
# exception is Exchange Online's reply for unknown addresses.
_PREFIX = linear_regex.compile(
    r"(?:recipient |destination |to )?address(?:es)? (?:was |is |has been )?rejected\W*", "i"
)
_UNKNOWN_AT_EDGE = linear_regex.compile(
    r"5\.4\.1\b.{0,120}address(?:es)? rejected\W+access denied", "i"
)


# Phrases that mean something else with what follows them, which is all that is kept.
_NOT_MEANT = _any(
    r"\bno (?:mail ?box|account|user|valid recipients?|recipients?|local user|matching (?:address|user|recipient))( (?:specified|in message))",
    r"mail ?box[^.\n]{0,10}unavailable( for policy)",
    r"(?:black|block|deny)-?list(?:ed|s|ing)?( by recipient's own)",
)


def classify_words(text: str) -> BounceVerdict | None:
    """Return what a refusal's text (its first `MOST_CHARACTERS`) is about, or None if unknown."""
    joined = " ".join(text[:MOST_CHARACTERS].split())
    if _UNKNOWN_AT_EDGE.search(joined):
        return V.ADDRESS
    meant = _NOT_MEANT.sub(lambda found: f" {found[found.lastindex or 0]}", joined)
    reasons = _PREFIX.sub(" ", meant)
    for verdict, words in _ORDER:
        if words.search(reasons):
            return verdict
    return V.ADDRESS if reasons != meant else None
