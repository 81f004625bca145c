// The service worker that shows what is pushed, while no page is open; it touches no page and keeps nothing.
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("push", (event) => {
  const { text, path, language, tag } = event.data.json();
  // The tag is the message's own: one that comes again, as another device did not take it, takes its place and makes no sound.
  event.waitUntil(registration.showNotification("HealthPlus", { body: text, lang: language, tag, data: path }));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(clients.openWindow(event.notification.data));
});
