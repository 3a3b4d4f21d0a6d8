// The live stream: one socket for the page, which comes back by itself; frames as arrays, everything else as events.

const AGAIN_MS = [500, 1000, 2000, 5000, 10000];

export class Live extends EventTarget {
  constructor(domains) {
    super();
    this.domains = domains;
    this.topics = new Set();
    this.tries = 0;
    this.open();
  }

  get on() { return this.socket.readyState === WebSocket.OPEN; }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => { this.tries = 0; this.wish(); this.tell("link", true); };
    this.socket.onclose = (event) => {
      this.tell("link", false);
      if (event.code === 4401) { this.tell("denied", true); return; }
      if (!this.ended) setTimeout(() => this.open(), AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)]);
    };
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.event(JSON.parse(data)) : this.frame(new DataView(data)));
  }

  close() { this.ended = true; this.socket.close(); }

  watch(...topics) { topics.forEach((one) => this.topics.add(one)); this.wish(); }
  leave(...topics) { topics.forEach((one) => this.topics.delete(one)); this.wish(); }
  wish() { if (this.on) this.socket.send(JSON.stringify({ watch: [...this.topics] })); }
  tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
  event(told) { this.tell(told.event, told); }

  frame(view) {
    if (view.getUint8(0) !== 1) return;
    const domain = this.domains[view.getUint8(1)], t = view.getFloat64(8, true), count = view.getUint32(16, true);
    const at = 20;
    const columns = new Uint32Array(count), mean = new Float32Array(count), sd = new Float32Array(count);
    for (let k = 0; k < count; k++) {
      columns[k] = view.getUint32(at + 4 * k, true);
      mean[k] = view.getFloat32(at + 4 * (count + k), true);
      sd[k] = view.getFloat32(at + 4 * (2 * count + k), true);
    }
    this.tell("state", { domain, t, columns, mean, sd });
  }
}
