// A phone's browser hides printing, and saving as PDF, deep in a menu.
const button = document.getElementById("print");

button.hidden = false;
button.addEventListener("click", () => print());
