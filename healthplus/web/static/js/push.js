// The service worker that shows what is pushed, while no page is open; it touches no page and keeps nothing.
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("push", (event) => {
  const { text, path, language, tag } = event.data.json();
  event.waitUntil(registration.showNotification("HealthPlus", { body: text, lang: language, tag, renotify: true, data: path }));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(clients.openWindow(event.notification.data));
});
