// The code's field: only digits stay of what is typed or pasted, and a phone may fill it in from the text message.
const field = document.getElementById("code");

field?.addEventListener("input", () => {
  const digits = field.value.replace(/\D/g, "").slice(0, 6);
  if (field.value !== digits) field.value = digits;
});

if (field && "OTPCredential" in window) {
  const giveUp = new AbortController();
  field.form.addEventListener("submit", () => giveUp.abort());
  navigator.credentials
    .get({ otp: { transport: ["sms"] }, signal: giveUp.signal })
    .then((message) => {
      if (message && !field.value) field.value = message.code;
    })
    .catch(() => {}); // refused, or the form was sent before
}
