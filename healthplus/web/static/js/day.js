/** Keys of the day sheet, a list that narrows down while one types, and what others do meanwhile. */
const EVERY = 1000;
const search = document.querySelector("#q");
const shown = () => [...document.querySelectorAll(".day-row[data-find]")].filter((visit) => !visit.hidden);

const matches = (visit, wanted) => {
  const [name, token, digits, label] = visit.dataset.find.toLowerCase().split("|");
  return !wanted || name.includes(wanted) || [token, label].includes(wanted) || (wanted.length === 4 && wanted === digits);
};
const narrow = () => {
  if (!search) return;
  const wanted = search.value.trim().toLowerCase();
  for (const visit of document.querySelectorAll(".day-row")) {
    visit.hidden = Boolean(wanted) && !(visit.dataset.find && matches(visit, wanted));
  }
};
search?.addEventListener("input", narrow);
search?.form.addEventListener("submit", (event) => {
  event.preventDefault();
  shown()[0]?.focus();
});

// After a press the same patient is in focus again, for what comes next.
const { about } = document.querySelector(".columns")?.dataset ?? {};
const last = about && document.getElementById(`visit-${about}`);
if (last) last.focus();

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  const { key, target } = event;
  if (target === search && key === "Escape") {
    search.value = "";
    search.dispatchEvent(new Event("input"));
    search.blur();
    return;
  }
  if (target.closest("input, select, textarea")) return;
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
    help.querySelector("summary").focus();
  } else if (key === "p") {
    print();
  } else {
    // Once more: of who is focused, or of who was called and is next.
    const called = key === "r" ? (visit ?? document.querySelector(".day-row.called.next")) : null;
    const press =
      called?.closest(".called")?.querySelector("[data-key=c]") ??
      (key === "Enter" && target === visit
        ? visit?.querySelector("button.first")
        : (visit?.querySelector(`[data-key="${CSS.escape(key)}"]`) ??
          (key === "c" ? document.querySelector(".day-row.next [data-key=c]") : null) ??
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
    const row = focused.closest(".day-row");
    for (const fold of live.querySelectorAll("details[open]")) {
      next.querySelector(`#${CSS.escape(fold.closest(".day-row").id)} details`)?.setAttribute("open", "");
    }
    live.replaceWith(next);
    narrow();
    if (!row) return;
    const same = document.getElementById(row.id);
    (same?.querySelector(`[value="${CSS.escape(focused.value ?? "")}"]`) ?? same)?.focus({ preventScroll: true });
  } catch {
    // offline: connection.js says so, and the next question may get through
  } finally {
    asks = false;
    setTimeout(ask, pause);
  }
};
document.addEventListener("visibilitychange", ask);
ask();
