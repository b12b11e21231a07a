"""Rules on the words of refusals that are about the reader: the mailbox is full, or does not exist.

Only a sure phrase, or an exact code, ends a subscription at once; a likely one has to come on two
days, because a wrong suppression is worse than a dead address that is kept.
"""

from service.deliveries.domain.refusal_rules import Rule
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict

_BOX = r"(?:user|recipient|mail ?box|account|addressee|customer|subscriber|login|alias|mail ?drop|local[- ]part|person|e-?mail address)"

FULL: tuple[Rule, ...] = (
    Rule(
        "mailbox full",
        V.FULL,
        True,
        "The mailbox takes no more for now; readers empty them.",
        (
            r"(?:over|exceed\w*|excessive|beyond|out of|insufficient|full|usage|reached|hit)[^.\n]{0,40}\bquota|over ?quota|quota ?exceeded|disk quota",
            r"\bquota\b[^.\n]{0,40}(?:exceed|full|violation|reach|limit|over\b)",
            r"(?:mail ?box|inbox|mail ?folder|mail ?drop|maildir|account|user|storage)\b[^.\n]{0,40}\b(?:is|was|are)?[ -]?(?:too )?(?:full|overfull|filled up|over ?limit|over the limit)\b|mail ?box[ _-]?full",
            r"mail ?box (?:has )?exceed|(?:exceed\w*|over|reached|above)\b[^.\n]{0,40}(?:storage|mail ?box|disk ?space|allotted|allocated|maximum number of messages|space limit|stored)",
            r"would (?:be over|exceed)[^.\n]{0,40}(?:quota|allotment|mail ?box|storage)|too much mail (?:data|stored)|\bfull mail ?box|mail ?box size limit|user has too many messages|exceeding receiving limits|space (?:is )?not enough",
            r"bo[iî]te[^.\n]{0,20}pleine|postfach[^.\n]{0,20}voll|buz[oó]n[^.\n]{0,20}llen[oa]|casella[^.\n]{0,20}piena|ящик[^.\n]{0,20}переполнен|メールボックス[^。\n]{0,12}(?:いっぱい|一杯|容量)",
        ),
    ),
    Rule(
        "space",
        V.FULL,
        False,
        "Storage is used up, the mailbox's more often than the server's.",
        (
            r"(?:not enough|insufficient|no more|out of|no|n't have enough|not have enough)\b[^.\n]{0,30}(?:disk ?space|storage|space (?:left|available|on)|free space|enough space|space\b|room)",
        ),
    ),
)

ADDRESS: tuple[Rule, ...] = (
    Rule(
        "unknown user",
        V.ADDRESS,
        True,
        "The receiver does not know the user, in the words of the common servers.",
        (
            rf"\b{_BOX}s?\b(?:\W+\w+){{0,3}}?\W+(?:unknown|not (?:be )?(?:found|known|exist\w*|listed|recogni[sz]ed|registered|local|here|in\b)|does not exist|doesn't exist|non-?existent|inexist\w*)",
            rf"(?:unknown|non-?existent|no such|invalid|unrecogni[sz]ed)\W+(?:or \w+ )?(?:\w+ ){{0,2}}?(?:local[- ])?{_BOX}",
            r"\bno (?:mail ?box|account|user|local user|matching (?:address|user|recipient))\b|\bnobody (?:here )?by that name",
            rf"\b{_BOX}s?\b(?:\W+\w+){{0,7}}?\W+(?:does|do|did)(?:n['´’]?t| not) exist\b",
            r"(?:does|do|did)(?:n['´’]?t| not) have (?:a|an|any)\b[^.\n]{0,40}(?:account|mail ?box)|no ?(?:one|body) at this address",
            r"\buser ?unknown\b|\bunknown ?user\b|\bbad ?address\b|recipnotfound|recipientnotfound|adr\.rec\w+ ?not ?found|\baddress not found\b|unknown address|user (?:\S+ )?(?:is )?not (?:local|known)|addressee unknown|not our customer|did not exactly match",
            rf"\b(?:is|are) not (?:a|an) (?:known|valid|existing|active|local|registered) (?:\w+ )?{_BOX}|not a valid mailbox|invalid final delivery userid",
            r"(?:not|isn't|n't) (?:listed|found|registered|defined) in\b|not found in (?:the )?(?:directory|domino|address book|ldap|users?)|no matches to nameserver query",
        ),
    ),
    Rule(
        "exchange edge",
        V.ADDRESS,
        False,
        "Exchange Online's reply for addresses that its directory does not have.",
        (r"5\.4\.1\b.{0,120}address(?:es)? rejected\W+access denied",),
    ),
    Rule(
        "disabled",
        V.ADDRESS,
        False,
        "The mailbox is closed, locked or moved; some come back.",
        (
            rf"\b{_BOX}(?:\W+\w+){{0,6}}?\W+(?:in-?active|disabled|discontinued|deactivated|expired|suspended|closed|terminated|cancell?ed|deleted|removed|locked|frozen|blocked|bloque\w*|dormant|moved|unavailable|not (?:available|active|valid))",
            rf"(?:in-?active|disabled|expired|deactivated|closed|suspended|locked|obsolete)\W+(?:\w+ ){{0,2}}?{_BOX}",
            r"(?:no longer|not any ?more|any longer)\b[^.\n]{0,60}(?:valid|server|available|here|in use|active|employ|exist|accept|work|receiv|used|with us|a(?: \w+)? (?:member|employee|student|customer|user))",
            r"(?:has|have|had)(?: been)? (?:left|moved|retired|resigned|suspended)\b|mailbox has moved|is (?:currently|temporar\w+) (?:suspended|locked|disabled)|temporar\w+ (?:locked|disabled)|extended inactivity|not (?:been )?used for|(?:is|account) (?:in-?active|not active|not present)|missing home directory|can't accept user|archived recipient|suspend the service|archiv[ée]e",
            r"(?:this user doesn't have\b|access to (?:this )?mail ?box|mail ?box[^.\n]{0,10}(?:un|not )available|requested action not taken: mail ?box)",
        ),
    ),
    Rule(
        "no domain",
        V.ADDRESS,
        False,
        "There is no such domain, or it takes no mail, as a name server said.",
        (
            r"(?:host|domain|dns|server)\W+(?:or domain )?(?:name )?(?:\S+ )?(?:was |is |could |can )?(?:unknown|not found|not be found|does not exist|doesn't exist|lookup failed|non-?existent)|no such\W+(?:\w+ ){0,2}?(?:domain|host)|(?:unknown|illegal|invalid|non-?existent) (?:host|domain)\b",
            r"\bnxdomain\b|name or service not known|null ?mx|no relevant answers|lookup of \S+ (?:had no relevant answers|responded with code noerror)",
            r"could(?:n't| not) find (?:any host|a mail exchanger)|unreachable or nonexistent|mx records? point to non-?existent|no mx (?:record|host)|mx points? to|un-?rout(?:e)?able (?:address|mail domain)|indicated no smtp service|bad destination (?:system|mailbox)",
        ),
    ),
    Rule(
        "address",
        V.ADDRESS,
        False,
        "Other phrases about the recipient's address.",
        (
            r"(?:address|addresses|destination|forward-path|rcpt|name|e-?mail|member|contact)\b(?:\W+\w+){0,4}?\W+(?:unknown|not (?:be )?(?:found|known|exist\w*|listed|valid|recogni[sz]ed|registered)|couldn't be found|non-?existent|invalid|in-?active|ambiguous|undeliverable|incorrect|wrong\b|no longer)",
            r"(?:invalid|illegal|bad|undeliverable|unresolvable|ambiguous|incorrect|wrong|undefined) (?:\w+ ){0,2}?(?:user|recipient|mail ?box|account|address\b|addressee|destination|local[- ]part|rcpt|forward-path|to address)",
            r"no such\W+(?:\w+[ -]){0,3}?(?:person|name|employee|destination|here|virtual|address)",
            r"(?:doesn't|does not|cannot|can't|unable to|will not|won't) (?:receive|accept) (?:any )?(?:e?-?mail|messages)\b|(?:delivery|relay|mail) to (?:this|the following|that) (?:user|address|recipient|mailbox)[^.\n]{0,30}(?:is )?not (?:possible|allowed)|badrcptto|badrecipient|envelope recipient has been denied|no valid recipients?\b|(?:does|do|did)(?:n't| not) exist\b|mail ?box\b[^.\n]{0,30}by that name",
            r"bounced address|not found recipient|recipient domain must exist|unable to validate recipient|recipient verif\w+ fail|failed to route the address|can't verify recipient|retry timeout exceeded for address|not (?:a )?deliverable|final email delivery point|check (?:if |that |whether )?(?:the )?address is correct",
        ),
    ),
    Rule(
        "other languages",
        V.ADDRESS,
        False,
        "The same in the languages of large providers.",
        (
            r"n['´’ ]?existe pas|n['´’ ]?est pas (?:valide|connu)|(?:adresse|destinataire|utilisateur)\b[^.\n]{0,40}(?:invalide|inconnue?)|(?:ce|cette|le) (?:compte|adresse)\b[^.\n]{0,30}(?:bloque|ferm|désactiv|n['’ ]?est)",
            r"(?:empf(?:ä|ae)nger|benutzer|adresse|postfach)[^.\n]{0,30}(?:unbekannt|existiert nicht|ung(?:ü|ue)ltig)|dest(?:ination|inatario)[^.\n]{0,20}(?:desconocid|unknown|inexist)|(?:usuario|cuenta|direcci[oó]n)\b[^.\n]{0,30}(?:desconocid|no existe|inexist)|nessun utente|existe dicha persona|(?:utente|destinatario|casella)\b[^.\n]{0,30}(?:sconosciut|inesistente|non esiste)|(?:usu[aá]rio|conta|endere[cç]o)\b[^.\n]{0,30}(?:desconhecid|n[aã]o existe|inv[aá]lid)",
            r"(?:пользовател|ящик|адресат|получател)[^.\n]{0,30}(?:не найден|не существует|неизвест|недоступен|заблокирован)|(?:宛先|アドレス|ユーザ|メールボックス)[^。\n]{0,16}(?:見つかりません|存在しま?せん|不明|ありません)|(?:用户|收件人|邮箱|地址)[^。\n]{0,10}(?:不存在|未找到|无效)",
        ),
    ),
)
