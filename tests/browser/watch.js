/* Runs before everything else on the page: keeps what goes wrong, whichever engine shows it. */
const said = (globalThis.wentWrong = []);
addEventListener("error", (event) => said.push(`error: ${event.message || event.target?.src || event.target?.href}`), true);
addEventListener("unhandledrejection", (event) => said.push(`rejected: ${event.reason?.stack ?? event.reason}`));
document.addEventListener("securitypolicyviolation", (event) =>
  said.push(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`),
);
const error = console.error;
console.error = (...words) => {
  said.push(`console: ${words.map(String).join(" ")}`);
  error.apply(console, words);
};

/* Elements that a visitor can see, those within components' shadow roots too. */
globalThis.all = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll("*")].filter((e) => e.shadowRoot).flatMap((e) => all(selector, e.shadowRoot)),
];
globalThis.placeOf = (selector, text) => {
  const fits = (e) => e.getClientRects().length && (!text || e.innerText.trim().split("\n")[0] === text || e.ariaLabel === text);
  const found = all(selector).find(fits);
  if (!found) return null;
  found.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const box = found.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};
