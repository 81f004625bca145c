// Shares by the apps of the device, where the browser can; else the link writes a text message.
const link = document.getElementById("share");

if (navigator.share) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    navigator.share({ text: link.dataset.text }).catch(() => {}); // given up
  });
}
