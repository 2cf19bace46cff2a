/* Search runs in a worker, and browsers start none for a page that was opened from a folder (file:). There, and there
   alone, a hidden frame does a worker's work: it runs the script and passes messages on, both ways. */
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe"), waiting = [];
      frame.hidden = true;
      frame.srcdoc = `<script>
        self.postMessage = (data) => parent.dispatchEvent(new MessageEvent("message-of-worker", { data }));
        self.importScripts = (...urls) => urls.reduce((before, src) => before.then(() => new Promise((done) =>
          document.head.appendChild(Object.assign(document.createElement("script"), { src, onload: done, onerror: done })))), Promise.resolve());
      <\/script><script src="${url}"><\/script>`;
      window.addEventListener("message-of-worker", ({ data }) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      });
      this.deliver = (data) => frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
      frame.onload = () => { this.ready = true; waiting.splice(0).forEach(this.deliver); };
      this.waiting = waiting;
      document.documentElement.appendChild(frame);
    }
    postMessage(data) { this.ready ? this.deliver(data) : this.waiting.push(data); }
    terminate() {}
  };
