/** Keys of a token's page: p prints it, w is the next walk-in, u takes it back. */
const button = document.querySelector("#print");
button.hidden = false;
button.addEventListener("click", () => print());

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
  const press = event.key === "p" ? button : document.querySelector(`[data-page-key="${CSS.escape(event.key)}"]`);
  if (!press) return;
  press.click();
  event.preventDefault();
});
