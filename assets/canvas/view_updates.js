/* Tells a picture what to show (the chosen head, the pinned word, the scale) without sending its cells again. */
export default function ({ data }) {
  const [target, view] = data;
  (globalThis.headlightViews ??= new Map()).set(target, view);
  globalThis.dispatchEvent(new CustomEvent("headlight:view", { detail: { target, view } }));
}
