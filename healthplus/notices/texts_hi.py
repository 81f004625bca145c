"""The texts of all notices in Hindi. Each SMS is as short as it can be: a part holds 67 of these letters."""

from healthplus.notices.text import EARLIER, TURN, Text, Texts

_CHANGE = "बदलें या रद्द करें"

HINDI = Texts(
    code="hi",
    locale="hi_IN",
    clock="B h:mm",
    exact_clock="B h:mm:ss",
    rupees="₹",
    prefix="/hi",
    fee={
        "online": "फ़ीस {fee} है, ऑनलाइन दी जा चुकी है।",
        "clinic": "फ़ीस {fee} है, क्लिनिक में देनी है।",
    },
    before="आने से पहले",
    why="यह संदेश इसलिए आया क्योंकि आप HealthPlus से बुकिंग करते हैं।",
    settings="चुनें कि हम आपको क्या भेजें",
    texts={
        "booked": Text("आपकी अपॉइंटमेंट बुक हो गई", "अपॉइंटमेंट बुक: {when}।", _CHANGE, with_fee=True),
        "moved": Text("आपकी अपॉइंटमेंट का समय बदल गया", "अपॉइंटमेंट अब {when} पर है।", _CHANGE, with_fee=True),
        "cancelled": Text("आपकी अपॉइंटमेंट रद्द हो गई", "{when} रद्द। दिया पैसा लौटेगा।", "फिर से बुक करें"),
        "cancelled_kept": Text("आपकी अपॉइंटमेंट रद्द हो गई", "{when} रद्द: {kept} कटे, {returned} लौटेंगे।", "विवरण"),
        "replaced": Text(
            "आपकी पहले की अपॉइंटमेंट रद्द हो गई",
            "{when} की जगह नया समय है। पैसा लौटेगा।",
            "विवरण",
        ),
        "replaced_kept": Text(
            "आपकी पहले की अपॉइंटमेंट रद्द हो गई",
            "{when} बदला: {kept} कटे, {returned} लौटेंगे।",
            "विवरण",
        ),
        "needs_rebooking": Text("कृपया दूसरा समय चुनें", "{when} पर क्लिनिक नहीं देख पाएगा।", "समय बदलें"),
        "stands": Text("आपकी अपॉइंटमेंट बनी हुई है", "{when} की अपॉइंटमेंट बनी हुई है।", "समय बदलें"),
        "expired": Text("आपके 5 मिनट पूरे हो गए", "5 मिनट पूरे; {when} छूटा। पैसा नहीं कटा।", "विवरण"),
        "expired_paid": Text(
            "आपके 5 मिनट पूरे हो गए",
            "5 मिनट पूरे; {when} छूटा। पैसा लौटेगा।",
            "विवरण",
        ),
        "withdrawn": Text("क्लिनिक ने आपका समय हटाया", "क्लिनिक ने {when} हटाया। पैसा नहीं कटा।", "और समय"),
        "withdrawn_paid": Text("क्लिनिक ने आपका समय हटाया", "क्लिनिक ने {when} हटाया। पैसा लौटेगा।", "और समय"),
        "queue_closed": Text("कतार में आपका इंतज़ार ख़त्म हुआ", "क्लिनिक ने ये समय हटा दिए। अब इंतज़ार न करें।", "दूसरे समय"),
        "offered": Text(
            "आपकी बारी आ गई",
            "आपकी बारी: {when} आपके लिए {until} तक रुका है।",
            "ले लें",
            with_fee=True,
            page=TURN,
        ),
        "called": Text(
            "एक समय ख़ाली हुआ है",
            "{when} ख़ाली: {until} तक हाँ कहने वाला पहला पाएगा।",
            "ले लें",
            with_fee=True,
            page=TURN,
        ),
        "offer_lapsed": Text("आपकी बारी निकल गई", "बारी निकल गई: {when} नहीं लिया गया।", "दूसरे समय"),
        "offer_missed": Text(
            "आपके न होने पर एक समय आया",
            "आपके न होने पर एक समय आया। नंबर आपका ही है; लौटने तक दूसरे पहले हैं।",
            "लौट आएँ",
            page=TURN,
        ),
        "refunded": Text("आपका पैसा लौट रहा है", "{returned} लौट रहे हैं, अक्सर 7 दिन में।", "विवरण"),
        "refunded_part": Text("आपका पैसा लौट रहा है", "दिए पैसे में से {returned} लौट रहे हैं, अक्सर 7 दिन में।", "विवरण"),
        "reminder": Text(
            "आपकी अपॉइंटमेंट आने वाली है",
            "अपॉइंटमेंट {when} पर है।",
            "बताएँ या बदलें",
            with_fee=True,
        ),
        "reminder_reply": Text(
            "आपकी अपॉइंटमेंट आने वाली है",
            "अपॉइंटमेंट {when} पर। आएँगे? YES लिखें।",
            "बदलें",
        ),
        "earlier": Text(
            "इससे पहले का समय खाली है",
            "{when} खाली है। जो पहले ले, उसी का।",
            "लें",
            page=EARLIER,
        ),
        "not_cancelled": Text("आपकी अपॉइंटमेंट रद्द नहीं हुई", "रद्द नहीं हुई: {when}।", "बदलें या रद्द करें"),
    },
)
