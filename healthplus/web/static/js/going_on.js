// Goes on to the gateway's page at once. Not for who has come back from there: they are to read what they can do.
const [navigation] = performance.getEntriesByType("navigation");
if (navigation?.type !== "back_forward") document.getElementById("going-on").submit();
