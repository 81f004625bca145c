// Times are the clinic's. Readers whose clock shows another see its zone beside them: here, and by the cookie from the
// start on the pages to come.
const now = new Date();
const clock = (timeZone) => now.toLocaleString("en", { timeZone });
const zones = new Set(Array.from(document.querySelectorAll("[data-zone]"), (one) => one.dataset.zone));
const isElsewhere = [...zones].some((zone) => clock(zone) !== clock());
const page = document.documentElement;
if (zones.size && isElsewhere !== page.hasAttribute("data-elsewhere")) {
  const age = isElsewhere ? 34_560_000 : 0;
  // biome-ignore lint/suspicious/noDocumentCookie: browsers of three years ago have no other way
  document.cookie = `elsewhere=1; path=/; max-age=${age}; samesite=lax`;
  page.toggleAttribute("data-elsewhere", isElsewhere);
}
