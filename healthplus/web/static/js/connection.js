// Says when the network is gone; what is on the page stays.
const status = document.getElementById("connection");

function tell() {
  status.textContent = navigator.onLine ? "" : status.dataset.offline;
}

addEventListener("online", tell);
addEventListener("offline", tell);
if (!navigator.onLine) tell();
