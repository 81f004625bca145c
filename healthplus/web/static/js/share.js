// Shares by the device's own ways, where the browser can. Else the link writes a text message, or the address is there to be copied.
const share = document.getElementById("share");
const address = document.getElementById("link");

address?.addEventListener("focus", () => address.select());
if (share && navigator.share) {
  share.hidden = false;
  share.addEventListener("click", (event) => {
    event.preventDefault();
    const { title, text } = share.dataset;
    navigator.share({ title, text, url: address?.value }).catch(() => {}); // nothing was chosen
  });
}
