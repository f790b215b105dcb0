// A call's sound over WebRTC. What is agreed on goes over the call's socket, as JSON:
// `ice`, `offer` and `candidate` from here, `ice` and `answer` from there.

const CONNECT_MS = 4000; // then the page's sound goes over its socket
const RETRY_MS = 1000;
const MOST_TRIES = 12; // by then the server has given the call up
const INTERRUPTED = new Set(["disconnected", "failed", "closed"]);

const within = (ms, work) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it takes too long")), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};

export class Connection {
  // `send` takes messages for the server, and tells whether it can; `onInterrupted` is called each
  // time that the way breaks off.
  constructor(stream, send, onInterrupted) {
    this.stream = stream;
    this.send = send;
    this.onInterrupted = onInterrupted;
    this.peer = null;
    this.audio = new Audio();
    this.audio.autoplay = true;
    this.asked = {};
    this.connecting = false;
    this.closed = false;
    this.changed = () => this.reconnect();
    window.addEventListener("online", this.changed);
    if (navigator.connection) navigator.connection.addEventListener("change", this.changed);
  }

  // A message of the server's: an answer to something asked here.
  received(message) {
    const answer = this.asked[message.type];
    delete this.asked[message.type];
    if (answer) answer(message);
  }

  async ask(message, type) {
    const answered = new Promise((resolve) => { this.asked[type] = resolve; });
    if (!this.send(message)) throw new Error("the socket is away");
    return answered;
  }

  get connected() { return this.peer !== null && this.peer.connectionState === "connected"; }

  // Connect, or throw. An earlier connection is given up only when the new one is there.
  async connect() {
    const { servers } = await within(CONNECT_MS, this.ask({ type: "ice" }, "ice"));
    if (!servers) throw new Error("the server has no WebRTC");
    const peer = new RTCPeerConnection({ iceServers: servers });
    try {
      await within(CONNECT_MS, this.agree(peer));
    } catch (error) {
      peer.close();
      throw error;
    }
    if (this.peer) this.peer.close();
    if (this.closed) { peer.close(); return; }
    this.peer = peer;
    this.audio.srcObject = new MediaStream(peer.getReceivers().map(({ track }) => track));
    peer.onconnectionstatechange = () => {
      if (INTERRUPTED.has(peer.connectionState) && peer === this.peer) this.reconnect();
    };
  }

  async agree(peer) {
    this.stream.getAudioTracks().forEach((track) => peer.addTrack(track, this.stream));
    await peer.setLocalDescription();
    const answer = this.ask({ type: "offer", sdp: peer.localDescription.sdp }, "answer");
    peer.onicecandidate = ({ candidate }) => {
      if (candidate) this.send({ type: "candidate", candidate: candidate.candidate });
    };
    const connected = new Promise((resolve, reject) => {
      peer.onconnectionstatechange = () => {
        if (peer.connectionState === "connected") resolve();
        if (peer.connectionState === "failed") reject(new Error("no way to the server"));
      };
    });
    await peer.setRemoteDescription({ type: "answer", sdp: (await answer).sdp });
    await connected;
  }

  // The network changed or the way broke off: offer anew until that works.
  async reconnect() {
    if (this.connecting || this.closed || !this.peer) return;
    this.connecting = true;
    if (!this.connected) this.onInterrupted();
    for (let tries = 0; tries < MOST_TRIES && !this.closed; tries += 1) {
      if (await this.connect().then(() => true, () => false)) break;
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
    this.connecting = false;
  }

  close() {
    this.closed = true;
    window.removeEventListener("online", this.changed);
    if (navigator.connection) navigator.connection.removeEventListener("change", this.changed);
    if (this.peer) this.peer.close();
    this.audio.srcObject = null;
  }
}
