/* The sound of a recording, for the picture beside it: globalThis.headlightSound.play(from, to, at) plays a part in
   seconds, tells where it is, and stops what was playing before. Nothing is fetched: the samples came with the page. */
export default function ({ data }) {
  const bytes = Uint8Array.from(atob(data.samples), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const samples = Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true) / 32768);
  globalThis.headlightSound?.stop();
  let context = null;
  let source = null;
  let frame = 0;

  function stop() {
    cancelAnimationFrame(frame);
    if (!source) return;
    source.onended = null;
    source.stop();
    source = null;
  }
  async function play(from, to, at, ended) {
    stop();
    context ??= new AudioContext();
    await context.resume();
    const buffer = context.createBuffer(1, samples.length, data.rate);
    buffer.copyToChannel(samples, 0);
    source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    const began = context.currentTime;
    source.onended = () => {
      stop();
      ended();
    };
    source.start(0, from, Math.max(0.05, to - from));
    const tick = () => {
      if (!source) return;
      at(Math.min(to, from + context.currentTime - began));
      frame = requestAnimationFrame(tick);
    };
    tick();
  }
  globalThis.headlightSound = { play, stop };
  return () => {
    stop();
    context?.close();
    context = null;
  };
}
