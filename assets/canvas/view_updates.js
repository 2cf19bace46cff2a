/* Tells a picture what to show (the chosen head, the pinned word, the scale) without sending its cells again. */
export default function ({ data }) {
  (globalThis.headlightViews ??= new Map()).set(data.target, data.view);
  globalThis.dispatchEvent(new CustomEvent("headlight:view", { detail: data }));
}
