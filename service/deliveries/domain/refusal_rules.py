"""Rules on the words of refusals: whom a class of phrases is about, and how surely.

They are collected from the sources and manuals of the common servers (Exim, Postfix, qmail,
Sendmail, Exchange) and of large providers. A rule is about a class of phrases, never about one
mail; `tests/deliveries/domain/test_refusal_rules.py` has an invented example of each. Rules about
the reader are in `refusal_rules_subscriber`. Names of hosts, links and addresses are masked before (see
`refusal_words`): HOSTNAME, LINK, ADDR, READER (the reader's address) and OURNAME (a name of ours).
"""

from typing import NamedTuple

from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict


class Rule(NamedTuple):
    """A class of phrases: its name, verdict, reason, and patterns (RE2, any case).

    `is_sure`: the phrases are used for nothing else. If they are about us, no code about the
    address outweighs them.
    """

    name: str
    verdict: BounceVerdict
    is_sure: bool
    why: str
    patterns: tuple[str, ...]


_GONE = r"(?:unknown|not (?:be )?(?:found|resolved?|exist\w*|valid|known|reachable)|does(?:n't| not) (?:exist|resolve)|non-?existent|invalid|unresolvable|un-?route?able|missing|no such)"

OUR_NAME = Rule(
    "our name",
    V.CONFIGURATION,
    True,
    "Our own domain or sender address does not exist, to the receiver: our DNS or our setting.",
    (
        rf"OURNAME\W+(?:[\w'-]+\W+){{0,4}}?{_GONE}",
        rf"{_GONE}\W+(?:[\w'-]+\W+){{0,4}}?OURNAME",
        rf"(?:sender|return[- ]path|reverse[- ]path|mail from|mailfrom|from address|envelope[- ](?:sender|from))(?:'s)?(?: e?-?mail)?(?: address)?(?: domain)?(?: name)?\W+(?:\S+ ){{0,3}}?(?:rejected: (?:domain|host)|{_GONE}|verify failed|verification failed|could not be verified|must (?:exist|resolve|be))",
        rf"{_GONE}\W+(?:sender|return[- ]path|reverse[- ]path|from address|mail from|envelope[- ]from|sending domain)\b",
        r"domain of (?:the )?sender\W+(?:\S+ ){0,4}?(?:not|no\b|invalid|unknown|un\w+able)",
        r"(?:helo|ehlo)\b[^.\n]{0,40}(?:reject|invalid|denied|refus|bad|must|mismatch|not found)|my name was rejected",
        r"bogus mail from|invalid domain, see|[eé]metteur invalide|from: domain is invalid|empty envelope sender",
        r"(?:un(?:able|likely)|not|n't|cannot) (?:to )?(?:verify|validate|resolve)\W+(?:\S+ ){0,3}?(?:sender|mail from|from address)",
    ),
)

OURS: tuple[Rule, ...] = (
    OUR_NAME,
    Rule(
        "passing dns",
        V.CONFIGURATION,
        True,
        "A name server failed or did not answer, which says nothing about the domain.",
        (
            r"(?:host|domain)[^.\n]{0,20} not found,? try again|temporary (?:dns|lookup|name|resolution)",
            r"(?:malformed|unexpected|no|bad|invalid) (?:or unexpected )?(?:name ?server|dns) (?:reply|response|answer)",
            r"\bservfail\b|server failure|(?:host|domain) name lookup fail|dns records for [^.\n]{0,40}could not be found|recursive cname|(?:dns|name ?server|lookup|resolver)\b[^.\n]{0,40}(?:tim(?:ed?|ing) ?-?out|no answer|temporar\w*|try again|loop)",
            r"(?:name service|dns|lookup) (?:error|failure)[^.\n]{0,60}try again",
        ),
    ),
    Rule(
        "expired",
        V.CONFIGURATION,
        True,
        "A server gave up after its time was over; the last fault may have been anybody's.",
        (
            r"(?:envelope|message|mail|letter|delivery|it)s?\b (?:has |had |was |is )?expired|queue (?:lifetime|time)|(?:maximum|max|allowed)[ -](?:time|queue|lifetime|age)[^.\n]{0,20}(?:expired|exceed|reached)|maximum-time-expired",
            r"(?:retry|queue|delivery|holding)\b[^.\n]{0,20}(?:time[- ]?out|period|lifetime|limit)[^.\n]{0,20}exceeded|allowed queue period",
            r"(?:has|have|had) been in (?:the|my|our) queue|(?:in|on) (?:the |my |our )?queue (?:too|for too|for more|for over)|too long (?:in|on) (?:the |my )?queue",
            r"could not (?:be )?deliver(?:ed)?[^.\n]{0,30} (?:for|in|within) (?:the last )?\d+ (?:second|minute|hour|day)|unable to deliver in \d+|(?:aborted|given up|gave up|undelivered|not (?:been )?(?:delivered|collected)) after \d",
            r"(?:failed|after|exceeded)\W+(?:\w+ )?(?:\d+|maximum|too many)(?: delivery)? attempts|(?:maximum|too many) (?:delivery )?(?:attempts|retries)",
            r"all hosts have been failing for a long time|have been failing for|(?:retry|delivery) time (?:expired|not reached)|after multiple retries|(?:already made )?numerous attempts|not (?:be(?:en)? )?(?:delivered|collected) (?:after|for more than)",
        ),
    ),
    Rule(
        "too large",
        V.CONTENT,
        True,
        "The size of this one mail, or the shape of its headers and lines.",
        (
            r"(?:duplicate|multiple) (?:\S+ )?(?:headers?\b|from addresses)|8-?bit data in|improper\w*[ -](?:\w+ ){0,3}(?:content|header)|unnecessary base64|header error|limite du message atteinte|not (?:rfc|mime)[- ]?\d* complian|headers? (?:too (?:large|long)|are too)|line (?:is )?too long|(?:line|line length) limit exceed",
            r"(?:message|mail|letter|data|e-?mail)('s)? (?:size|length) (?:exceed|is (?:too|larger|over)|limit)|(?:message|mail|e-?mail|letter) (?:is |was )?too (?:big|large|long)",
            r"(?:exceed\w*|over|above)[^.\n]{0,30}(?:message|mail|maximum|max|fixed)[^.\n]{0,12}size|max(?:imum)?[_ ]?message[_ ]?size",
        ),
    ),
    Rule(
        "dangerous content",
        V.CONTENT,
        True,
        "A scanner found something in this one mail.",
        (
            r"\bvirus(?:es)? (?:was |were |has been )?(?:found|detected|infected)|(?:contains?|detected|infected (?:with|by)|found)\b[^.\n]{0,20}\b(?:virus|malware|trojan|worm)\b",
            r"(?:executable|illegal|forbidden|prohibited|banned|unacceptable|dangerous|disallowed)\b[^.\n]{0,30}\b(?:attachment|file ?(?:type|name|extension))",
            r"content presents a potential security",
        ),
    ),
    Rule(
        "block list",
        V.POLICY,
        True,
        "Our server, its address or its network is on a list.",
        (
            r"(?:black|block|deny)[- ]?list(?:ed|s|ing)?\b|\b[dr]nsbl?\b|\brbl\b|spamhaus|spamcop|\bsorbs\b|uceprotect|senderscore|listed (?:in|on|by|at) (?:HOSTNAME|LINK)",
            r"blocked using|blocked from sending|bad ip|(?:from|by) your ip\b|open proxy|host network not allowed|not allowed to connect|unverif(?:y|i)able|smtp server of your|smtp of your|\(BL\)|banned (?:sending )?ip|(?:client host|\bip\b|ip address|client|your (?:server|host|network))\W+(?:\S+ ){0,3}?(?:rejected|blocked|banned|denied|listed|refused)",
            r"(?:poor|bad|low|your|sender|ip|domain)\W+(?:\w+ )?reputation|reputation of",
        ),
    ),
    Rule(
        "spam",
        V.POLICY,
        True,
        "The mail was taken for spam, which is about us and our texts.",
        (
            r"\b(?:anti-?)?spam\w*|\bunsolicited\b|unwanted messages|mass mailer|recurrent pattern|unacceptable content|\bphish\w*|\bUBE\b|\bUCE\b|bulk (?:e-?)?mail|likely suspicious|\bjunk (?:e-?)?mail",
        ),
    ),
    Rule(
        "authentication",
        V.POLICY,
        True,
        "SPF, DKIM, DMARC, reverse DNS or a login that our server should have.",
        (
            r"\b(?:spf|dkim|dmarc|sender ?id|domainkeys)\b|purported responsible",
            r"(?:find|resolve) your (?:host|address|domain)|invalid ip for|legitimate (?:e-?mail )?sender|reverse dns|\bptr\b|\brdns\b|(?:ip|address) (?:name )?lookup failed|reverse (?:lookup|mapping|resolution)|may not be mail exchanger",
            r"unauthenticated|not authenticated|authentication[ -]?required|requires? (?:smtp )?auth|authrequired|must authenticate|(?:smtp )?auth(?:entication)?(?: checks?)? fail|credentials invalid|(?:not|don'?t) authenticate|not authori[sz]ed to send|authentication (?:is required|not allowed)|turn on smtp auth|without (?:prior )?authenti",
            r"\bbatv\b|backscatter|bouncedeny|third-party dsns|unsigned dsn|not owned by user",
            r"mismatch\w*\W+(?:\w+ )?(?:client|sender|source) ip|not allowed to send from|not permitted to (?:send|relay)",
        ),
    ),
    Rule(
        "rate",
        V.POLICY,
        True,
        "Too many mails or connections, for now or for today.",
        (
            r"(?:relay|sending|sender|hourly|daily|message|connection|recipient)s?(?: message)?(?: rate)? (?:quota|rate|frequency)|(?:hourly|daily|sending|rate|frequency)[- ]limit|frequency limited|throttl|too (?:many|fast|frequent)\w*\W+(?:\w+ )?(?:connections|messages|e?-?mails?|recipients|sessions|invalid|unknown|errors|requests)|at a rate that|unusual (?:rate|volume)|unexpected volume|rate (?:control|of)",
            r"(?:maximum |per-domain |max )?connection limit|max emails per hour|(?:exceeded|more than) the max(?:imum)? number of (?:\w+ )?(?:messages|sent|e?-?mails?)|too many in a single session|concurrent (?:smtp )?connections|trop de connexions|captcha|low priority",
            r"(?:receiving|received) (?:\w+ )?(?:too (?:many|much|quickly|fast|often)|mail at)|temporarily deferred due|user complaints",
        ),
    ),
    Rule(
        "relaying",
        V.POLICY,
        True,
        "A server does not know us as one that may hand it mail for others.",
        (
            r"relay\w*\W+(?:\w+ ){0,3}?(?:denied|prohibited|not (?:allowed|permitted|possible)|disallowed|refused)|not (?:configured|allowed|permitted) to (?:\d+ )?relay|unable to relay|no relaying|relay access|open relay|as a relay|mail relay\b|relaying mail to|not a gateway|registered gateway|allowed rcpthosts|not local host|(?:may not|cannot|can't|won't|do not|does not) relay",
        ),
    ),
    Rule(
        "rejected by policy",
        V.POLICY,
        True,
        "A rule of the receiver, or of its users, about senders.",
        (
            r"(?:for|by|of|due to|because of|against|local|security|your|our|violates?)\b(?:\W+\w+){0,3}?\W+polic(?:y|ies)\b|policy (?:violation|reject|reason|restriction)|recipient preferences|(?:denied|blocked|rejected|refused) by (?:the )?(?:administrator|filter|rule|content|policy)",
            r"(?:message|content|mail)\W+(?:content )?(?:rejected|refused|blocked|filtered)\b|access denied|banned|(?:not|only) accept(?:s|ing)? (?:any )?(?:mail|messages|connections) from|administrative(?:ly)? prohibit\w*|organizational settings|headers? (?:are |is )?not accepted|messages with multiple addresses|user rules|user reject|envelope blocked|you are not allowed to send|sender (?:\S+ )?(?:is )?(?:blocked|banned|denied)",
        ),
    ),
    Rule(
        "loop or setup",
        V.CONFIGURATION,
        True,
        "Servers send the mail in a circle, or their own set-up fails.",
        (
            r"too many hops|mail loop|\blooping\b|loop(?:s|ing)? (?:back|detected)|routing loop|hop count|loop count|forwarding loop|excessive recursion|configuration error|misconfigur",
            r"may not follow\b|malformed address|refused to talk to me|upstream error|(?:internal|local|unexpected) (?:\w+ )?error",
        ),
    ),
    Rule(
        "content",
        V.CONTENT,
        False,
        "Other phrases about the mail: its headers, character set, attachments.",
        (
            r"(?:message|mail|e-?mail|size|body|letter|attachment|headers?|content)s?\b(?: too long|[^.\n]{0,40}(?:too (?:big|large)|(?:exceed|over|larger|bigger|greater)\w*[^.\n]{0,30}(?:size|limit|maximum|large|bytes|than)))|size limit",
            r"attachment[^.\n]{0,40}(?:not (?:allowed|accepted|permitted)|prohibited|forbidden|blocked|reject|removed)|\bvirus(?:es)?\b|\bmalware\b|\binfected\b|\btrojan\b",
            r"(?:8-?bit|binary|character set|charset|mime)\b[^.\n]{0,40}(?:not (?:supported|allowed|accepted)|invalid|unsupported|malformed|error|rejected)|(?:executable|suspicious|blocked|not allowed)\b[^.\n]{0,30}\bcontent",
            r"(?:invalid|bad|malformed|missing|duplicate|illegal|no)\b[^.\n]{0,20}\b(?:header|mime|message-?id|date header|from header|subject|from field)|(?:header|from|subject|date)\b[^.\n]{0,20}(?:is missing|missing|malformed|too large|syntax)",
            r"does(?:n't| not) conform to (?:rfc|standards)|conversion (?:required|failed|prohibited)|media (?:error|not supported)",
        ),
    ),
    Rule(
        "refused",
        V.POLICY,
        False,
        "General words of refusing, which are more often about the sender.",
        (
            r"(?:connections? (?:not accepted|denied|rejected)|(?:access|client|mail|messages?|sender|request|relay\w*)\b(?:\W+\w+){0,4}?\W+(?:denied|refused|prohibited|forbidden|forbids|blocked|banned|not (?:allowed|permitted|accepted|authori[sz]ed)|rejected))",
            r"(?:denied|rejected|blocked|not accepted|prohibited|restricted)\b[^.\n]{0,40}\b(?:by (?:the )?(?:recipient|destination|rule|site|server|user|our)|for abuse|security|sender|ip\b|network|preferences)",
            r"not accept(?:ed|ing)?\W+(?:\w+ ){0,3}(?:from|sender|your|mail|messages|connections)|we do not accept|not accept delivery|(?:not|n't) (?:wish|want) to receive|delivery not authori[sz]ed",
            r"\babus(?:e|ive)\b|complaint|\bfilter(?:ed|s)?\b|profanity|polic(?:y|ies)\b|\bdynamic ip|dial-?up|service refus",
            r"gr[ae]y-?list|please try again|try again later|only (?:accept|allow)s? (?:mail|messages)|not (?:a )?(?:member|subscribed|allowed to post)|moderat|closed (?:mailing )?(?:group|list)|members?-only|account is protected by|not pre-approved|senderfilter|refuse to receive|has restricted|not accepting any mail|go away\b|blank from|not allowed as a from|\bblocked\b",
            r"(?:sender|from)\b[^.\n]{0,30}(?:rejected|not (?:on|in) (?:the )?(?:allow|white|approved|safe)|is blocked|unwelcome|restricted)|forbids you",
        ),
    ),
    Rule(
        "the way",
        V.CONFIGURATION,
        False,
        "A connection, a server, a program or a route that failed.",
        (
            r"(?:connect\w*|session|smtp|response|conversation|network)\b[^.\n]{0,60}(?:timed? ?-?out|time ?out|refused|lost|reset|failed|dropped|unexpectedly|interrupted|broken|closed|error)|(?:timed? ?-?out|time ?out|no answer|no response|unreachable|not reachable|no route to host|not respond|network is down|socket error)|not accept our requests to connect|lost connection|greeting failed|too busy|no route found|did not complete|lowest numbered mx",
            r"(?:unable|not able|could not|couldn't|failed|can't|cannot|wasn't able)\b[^.\n]{0,30}(?:connect|contact|establish|reach|resolve|lookup)|could not find a (?:gateway|route)|(?:message|mail|delivery)\b[^.\n]{0,40}too old",
            r"system (?:error|not accepting|not capable|resources|incorrectly|full)|not accepting (?:connections|network)|service (?:not |un|temporarily )*available|resources temporarily|server (?:error|busy|too busy|down|unavailable)|(?:i/o|disk|resource|software|database|processing) (?:\w+ )?(?:error|failure|problem)|temporary (?:server |local )?(?:failure|failed|error|problem)|temporarily unavailable|an error while|could not load|too many errors|system call|write error|config error|currently unavailable|loop was found|transaction failed|protocol violation|no route for|can't be processed|dropped by remote host|reset by peer|(?:helo|ehlo)\b",
            r"command (?:not|unrecogni[sz]ed|rejected|died|output)|syntax error|protocol error|bad sequence|unrecogni[sz]ed command|not implemented|must issue|need (?:mail|rcpt)|data command|mailer error|unknown mailer",
            r"(?:return ?path|sender|envelope|mail from|from) (?:address )?(?:domain )?(?:\S+ )?(?:invalid|unknown|must|cannot be)|sender domain|send mail as",
            r"tls\b|certificate|starttls|encryption|dns (?:error|failure|server)|mx (?:lookup|loop)|resolver",
            r"can(?:not|'t) (?:create|open|write|lock|append)|permission denied|exec\w* fail|exec /|exit status|(?:mail|program) (?:delivery )?(?:program|agent) (?:fail|exit|died)|pipe to|\bprocmail\b|died with status|(?:x-unix; |exit )\d+|\ba problem occurred",
        ),
    ),
)
