/** Keys of changing an appointment: from a focused row of a day sheet, and of the pages that they lead to. */
const KINDS = { m: "?do=move", k: "?do=cancel", f: "?do=refund", e: "?do=correct", h: "/history", s: "/pay" };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  const { key, target } = event;
  const typed = target.closest("input:not([type=radio]), select, textarea");
  if (typed && key !== "Escape") return;
  const more = target.closest(".day-row")?.querySelector("a.more");
  if (more && Object.hasOwn(KINDS, key)) {
    event.preventDefault();
    location.assign(more.href + KINDS[key]);
  } else if (!document.querySelector(".columns")) {
    const press = document.querySelector(`[data-page-key="${CSS.escape(key)}"]`);
    press?.focus();
    press?.click();
  }
});
