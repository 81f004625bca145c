// Sending a page's address by the device's own ways. Without them, or without scripts, the address is there to be copied.
const button = document.getElementById("share");
const link = document.getElementById("link");

link?.addEventListener("focus", () => link.select());
if (button && "share" in navigator) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.share({ title: button.dataset.title, url: link.value });
    } catch {
      // nothing was chosen
    }
  });
}
