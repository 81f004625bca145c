/** Keys of lists: what is focused has links and buttons that say their key, and arrows go from one to the next. */
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  if (event.target.closest("input, select, textarea")) return;
  const row = event.target.closest(".entries > li, .ask");
  if (!row) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    const rows = [...row.parentElement.children];
    const next = rows[rows.indexOf(row) + step];
    (next?.matches("[tabindex]") ? next : next?.querySelector("a"))?.focus();
    if (next) event.preventDefault();
    return;
  }
  const act = [...row.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (!act) return;
  event.preventDefault();
  act.click();
});
