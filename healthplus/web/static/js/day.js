/** Keys of the day sheet, a list that narrows down while one types, and what others do meanwhile. */
const EVERY = 1000;
const WORD = 300;
const search = document.querySelector("#q");
const main = document.querySelector("main");
const shown = () => [...document.querySelectorAll(".day-row[data-find]")].filter((visit) => !visit.hidden);

const matches = (visit, wanted) => {
  const [name, token, digits, label] = visit.dataset.find.toLowerCase().split("|");
  return !wanted || name.includes(wanted) || [token, label].includes(wanted) || (wanted.length === 4 && wanted === digits);
};
/** Says one of the sentences that the page has for it, by its id, or nothing. */
const say = (what) => {
  for (const text of document.querySelectorAll("#said > p")) text.hidden = text.id !== what;
};
const narrow = () => {
  if (!search) return;
  const wanted = search.value.trim().toLowerCase();
  for (const visit of document.querySelectorAll(".day-row")) {
    visit.hidden = Boolean(wanted) && !(visit.dataset.find && matches(visit, wanted));
  }
  say(wanted && !shown().length ? "nobody" : "");
};
search?.addEventListener("input", narrow);
search?.form.addEventListener("submit", (event) => {
  event.preventDefault();
  shown()[0]?.focus();
});

// After a press the same patient is in focus again, for what comes next; if they are gone from the day, the one after them.
const { about } = document.querySelector(".columns")?.dataset ?? {};
if (about) document.getElementById([`visit-${about}`, sessionStorage.after].find((id) => document.getElementById(id)))?.focus();
let last = null;
document.addEventListener("focusin", ({ target }) => {
  const rows = shown();
  const place = rows.indexOf(target.closest(".day-row"));
  if (place < 0) return;
  last = rows[place].id;
  sessionStorage.after = (rows[place + 1] ?? rows[place - 1])?.id ?? "";
});

// Who types a word on a row means no acts: of letters that come so fast, the first alone counts, before any key's own meaning.
let typed = -WORD;
document.addEventListener(
  "keydown",
  (event) => {
    if (!/^[a-z]$/i.test(event.key) || event.target.closest("input, select, textarea")) return;
    if (event.timeStamp - typed < WORD) event.stopImmediatePropagation();
    typed = event.timeStamp;
  },
  true,
);

/** Who is next: of the focused row's doctor, or else on the page. Of several there, none is meant. */
const nextOf = (visit) => {
  const next = (visit?.closest("section") ?? document).querySelectorAll(".day-row.next");
  if (visit || next.length < 2) return next[0];
  say("which");
};

let returns = "";
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  const { key, target } = event;
  if (target === search && key === "Escape") {
    search.value = "";
    search.dispatchEvent(new Event("input"));
    (document.getElementById(last) ?? main).focus({ preventScroll: true });
    return;
  }
  if (target.closest("input, select, textarea") && key !== "Escape") return;
  const visit = target.closest(".day-row");
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (step) {
    const rows = shown();
    const next = visit ? rows[rows.indexOf(visit) + step] : rows[0];
    next?.focus();
  } else if (key === "/" && search) {
    search.focus();
    search.select();
  } else if (key === "?") {
    const help = document.querySelector("#keys");
    if (!help) return;
    help.open = !help.open;
    if (help.open) {
      returns = visit?.id ?? "";
      help.querySelector("summary").focus();
    } else document.getElementById(returns)?.focus();
  } else if (key === "p") {
    print();
  } else {
    // Once more: of who is focused, or of who was called and is next.
    const called = key === "r" ? (visit ?? nextOf()) : null;
    const press =
      called?.closest(".called")?.querySelector("[data-key=c]") ??
      (key === "Enter" && target === visit
        ? visit?.querySelector("button.first")
        : (visit?.querySelector(`[data-key="${CSS.escape(key)}"]`) ??
          (key === "c" ? nextOf(visit)?.querySelector("[data-key=c]") : null) ??
          document.querySelector(`[data-page-key="${CSS.escape(key)}"]`)));
    if (!press) return;
    const provider = visit?.closest("form").provider.value;
    if (["n", "w"].includes(key) && provider) {
      const query = new URLSearchParams(press.search);
      query.set("provider", provider);
      press.search = query;
    }
    press.click();
  }
  event.preventDefault();
});

const says = (one) => [one.localName, one.value, one.getAttribute("href")].join();
/** What is focused instead of what was, in what has replaced it: the same, its row, a row beside that, or else the whole page. */
const standIn = (before, next, focused) => {
  const own = focused.closest(".day-row, [data-call]");
  const place = own ? next.querySelector(own.id ? `#${CSS.escape(own.id)}` : `[data-call="${own.dataset.call}"]`) : next;
  const same = [...(place?.querySelectorAll(focused.localName) ?? [])].find((one) => says(one) === says(focused));
  if (same) return same;
  if (place?.matches("[tabindex]")) return place;
  const rows = [...before.querySelectorAll(".day-row[data-find]")];
  const after = rows.filter((row) => focused.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING);
  const beside = own?.id ? [...after, ...rows.slice(0, rows.length - after.length).reverse()] : [];
  return beside.map((row) => document.getElementById(row.id)).find((row) => row && !row.hidden) ?? main;
};

// While somebody can see it: answered once something is new. What is focused stays so, and what is open.
let asks = false;
const ask = async () => {
  const live = document.querySelector("#live");
  if (!live || asks || document.hidden) return;
  asks = true;
  let pause = EVERY;
  try {
    const answer = await fetch(`${live.dataset.news}?after=${live.dataset.version}`);
    if (answer.redirected) location.reload(); // the screen is locked, or the session is over
    if (answer.status !== 200) return;
    pause = 0;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live");
    const focused = document.activeElement;
    for (const fold of live.querySelectorAll("details[open]")) {
      next.querySelector(`#${CSS.escape(fold.closest(".day-row").id)} details`)?.setAttribute("open", "");
    }
    live.replaceWith(next);
    narrow();
    if (live.contains(focused)) standIn(live, next, focused).focus({ preventScroll: true });
  } catch {
    // offline: connection.js says so, and the next question may get through
  } finally {
    asks = false;
    setTimeout(ask, pause);
  }
};
document.addEventListener("visibilitychange", ask);
ask();
