// Server-sent events of one question; what comes is drawn at most twice a second, and only while
// the page is seen. Only the last state is kept: the page does not grow with time.

export class Feed {
  constructor(onShown, onState) {
    this.onShown = onShown;
    this.onState = onState;
    this.source = null;
    this.latest = null;
    this.missed = 0;
    this.paused = false;
    this.waiting = false;
    this.drawn = 0;
    document.addEventListener("visibilitychange", () => this.plan());
  }

  ask(query) {
    this.source?.close();
    this.latest = null;
    const source = new EventSource(`/api/live?${query}`);
    this.source = source;
    source.addEventListener("open", () => this.onState("open"));
    source.addEventListener("error", () => {
      this.onState("away");
      // After an answer that is no stream a browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED)
        setTimeout(() => { if (this.source === source) this.ask(query); }, 3000);
    });
    source.addEventListener("missed", (event) => { this.missed = JSON.parse(event.data).updates; });
    source.addEventListener("shown", (event) => {
      this.latest = event.data;
      this.plan();
    });
  }

  pause(paused) {
    this.paused = paused;
    if (!paused) this.plan();
  }

  plan() {
    if (this.waiting || this.paused || this.latest === null || document.hidden) return;
    this.waiting = true;
    const due = Math.max(0, 400 - (performance.now() - this.drawn));
    setTimeout(() => requestAnimationFrame(() => {
      this.waiting = false;
      if (this.latest === null || this.paused) return;
      const data = this.latest;
      this.latest = null;
      this.drawn = performance.now();
      this.onShown(JSON.parse(data));
    }), due);
  }
}
