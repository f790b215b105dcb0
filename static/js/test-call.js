// The test-call page: microphone in, agent out, and everything that happens, as it happens.
// Texts come translated from the page (json_script), so that none live here.

const page = document.getElementById("test-call");
const texts = JSON.parse(document.getElementById("test-call-texts").textContent);
const hearing = JSON.parse(document.getElementById("test-call-hearing").textContent);
const at = (name) => document.querySelector(`[data-at="${name}"]`);

const view = {
  start: at("start"), hangUp: at("hang-up"), agent: at("agent"), microphone: at("microphone"),
  language: at("language"), languageField: at("language-field"),
  level: at("level"), problem: at("problem"), problemTitle: at("problem-title"),
  problemText: at("problem-text"), state: at("state"), caller: at("caller"), clock: at("clock"),
  talk: at("talk"), turns: at("turns"), noTurns: at("no-turns"), facts: at("facts"),
  keypad: at("keypad"), setup: at("setup"), meter: at("meter"), notice: at("notice"),
  noticeTitle: at("notice-title"), noticeText: at("notice-text"),
};

const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;

let call = null;

// --- problems: every one has a title and says what to do -----------------------------------

function showProblem(code, detail = "") {
  const text = texts.problems[code] || texts.problems.unknown;
  view.problemTitle.textContent = text.title;
  view.problemText.textContent = [text.text, detail].filter(Boolean).join(" ");
  view.problem.dataset.code = code;
  view.problem.hidden = false;
}

function hideProblem() {
  view.problem.hidden = true;
  delete view.problem.dataset.code;
}

// How the chosen agent hears in the chosen language; nothing where no agent takes calls.
function hearingNow() {
  return (hearing[view.agent.value] || {})[view.language.value];
}

// The languages of the chosen agent, its first one in front; there is no choice among one.
function listLanguages() {
  const codes = Object.keys(hearing[view.agent.value] || {});
  const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
  view.language.replaceChildren(...codes.map((code) => new Option(names.of(code), code)));
  view.languageField.hidden = codes.length < 2;
}

// What to know of whoever listens: `recogniser` once a call has told it, the expected one before.
function showNotice(recogniser = null) {
  const heard = hearingNow();
  const expected = heard && (Recognition ? heard.expected : heard.without_page);
  const notice = heard && heard.notices[recogniser || expected];
  view.notice.hidden = !notice;
  if (!notice) return;
  view.notice.dataset.code = notice.code;
  view.notice.classList.toggle("notice--warning", notice.code === "deaf");
  view.noticeTitle.textContent = notice.title;
  view.noticeText.textContent = notice.text;
}

const MEDIA_PROBLEMS = {
  NotFoundError: "no_microphone", OverconstrainedError: "no_microphone",
  NotAllowedError: "permission_denied", SecurityError: "permission_denied",
  NotReadableError: "microphone_busy", AbortError: "microphone_busy",
};
// A page that was cut off from its call comes back to it, for as long as the server keeps it.
const RESUME_MS = 15000;
const RETRY_MS = 1000;
const CLOSE_PROBLEMS = { 4401: "not_allowed", 4404: "no_agent", 4429: "busy" };

// Recognition that ends with one of these will not work in this browser, now or later; Chromium
// without its maker's service reports `network`.
const RECOGNITION_FAILS = new Set(["not-allowed", "service-not-allowed", "network", "language-not-supported"]);

// --- microphones ----------------------------------------------------------------------------

async function listMicrophones() {
  if (!navigator.mediaDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  const chosen = view.microphone.value;
  const options = devices.filter((d) => d.kind === "audioinput").map((d, i) => {
    const label = d.label || `${texts.microphone} ${i + 1}`;
    return new Option(label, d.deviceId, false, d.deviceId === chosen);
  });
  view.microphone.replaceChildren(new Option(texts.default_microphone, ""), ...options);
  view.microphone.value = chosen;
}

async function openMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices) throw { problem: "insecure" };
  if (!window.AudioWorkletNode) throw { problem: "old_browser" };
  const deviceId = view.microphone.value ? { exact: view.microphone.value } : undefined;
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        deviceId, channelCount: 1, echoCancellation: true, noiseSuppression: true,
        autoGainControl: true,
      },
    });
  } catch (error) {
    throw { problem: MEDIA_PROBLEMS[error.name] || "unknown", detail: error.message };
  }
}

async function openAudio(stream) {
  let context = new AudioContext({ sampleRate: 16000, latencyHint: "interactive" });
  let source;
  try {
    source = context.createMediaStreamSource(stream);
  } catch {
    // Firefox joins a microphone only to a context of the microphone's own rate.
    await context.close();
    context = new AudioContext({ latencyHint: "interactive" });
    source = context.createMediaStreamSource(stream);
  }
  await context.audioWorklet.addModule(page.dataset.worklets);
  await context.resume();
  const capture = new AudioWorkletNode(context, "andrea-capture", { numberOfOutputs: 0 });
  const playout = new AudioWorkletNode(context, "andrea-playout", {
    numberOfInputs: 0, outputChannelCount: [1],
  });
  source.connect(capture);
  playout.connect(context.destination);
  return { context, capture, playout };
}

// --- one call -------------------------------------------------------------------------------

class Call {
  constructor(stream, audio) {
    this.stream = stream;
    this.audio = audio;
    this.ended = false;
    this.ready = false;
    this.startedAt = null;
    this.partial = { caller: null, agent: null };
    this.recognition = null;
    this.transport = "websocket";
    this.connection = this.resumeToken = this.cutOffAt = null;
    this.socket = this.openSocket();
    this.timer = setInterval(() => this.tick(), 250);
    audio.capture.port.onmessage = ({ data }) => this.captured(data);
    audio.playout.port.onmessage = ({ data }) => this.send({ type: "played", mark: data.played });
    stream.getAudioTracks()[0].onended = () => {
      showProblem("microphone_lost");
      this.hangUp();
    };
  }

  openSocket() {
    const url = new URL(page.dataset.socket, window.location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const chosen = { agent: view.agent.value, language: view.language.value };
    const query = this.resumeToken ? { resume: this.resumeToken } : chosen;
    Object.entries(query).forEach(([name, value]) => url.searchParams.set(name, value));
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => (this.resumeToken ? this.resumed() : this.begin());
    socket.onmessage = ({ data }) => this.received(data);
    socket.onclose = ({ code }) => this.closed(code);
    return socket;
  }

  async begin() {
    if (window.RTCPeerConnection) await this.connect();
    const start = { type: "start", sample_rate: 16000, transport: this.transport };
    this.send({ ...start, speech_recognition: Boolean(Recognition) });
  }

  // Sound goes over WebRTC where that works, else over the socket.
  async connect() {
    try {
      const { Connection } = await import(page.dataset.webrtc);
      const interrupted = () => addLine("note", texts.reconnecting);
      this.connection = new Connection(this.stream, (message) => this.send(message), interrupted);
      await this.connection.connect();
      this.transport = "webrtc";
    } catch (error) {
      console.info(`No WebRTC: ${error.message}`);
    }
    if (this.ended || this.transport === "websocket") this.connection?.close();
  }

  resumed() {
    this.cutOffAt = null;
    if (!this.connection.connected) this.connection.reconnect();
  }

  send(message) {
    const open = this.socket.readyState === WebSocket.OPEN;
    if (open) this.socket.send(JSON.stringify(message));
    return open;
  }

  captured({ pcm, level }) {
    showLevel(Math.min(100, Math.round(Math.sqrt(level) * 160)));
    if (this.transport === "websocket" && this.ready && this.socket.readyState === WebSocket.OPEN) this.socket.send(pcm);
  }

  received(data) {
    if (data instanceof ArrayBuffer) {
      this.audio.playout.port.postMessage({ pcm: data }, [data]);
      return;
    }
    const message = JSON.parse(data);
    if (this.connection) this.connection.received(message);
    const handler = this[`on_${message.type}`];
    if (handler) handler.call(this, message);
  }

  on_ready({ call: id, providers }) {
    this.ready = true;
    this.startedAt = performance.now();
    showFacts({ ...providers, transport: texts.transports[this.transport], call: id });
    showNotice(providers.recogniser);
    if (providers.recogniser === "browser") this.recognise();
  }

  on_resume({ token }) { this.resumeToken = token; }

  on_mark({ name }) { this.audio.playout.port.postMessage({ mark: name }); }

  on_clear() { this.audio.playout.port.postMessage({ clear: true }); }

  on_state({ agent, caller }) {
    if (agent) { view.state.dataset.state = agent; view.state.textContent = texts.states[agent]; }
    if (caller) { view.caller.dataset.state = caller; view.caller.textContent = texts.callers[caller]; }
  }

  on_transcript({ role, text, final }) {
    const line = this.partial[role] || (text ? addLine(role) : null);
    if (!line) return;
    // The caller's text grows by itself; the agent's comes sentence by sentence.
    line.textContent = role === "agent" ? `${line.textContent} ${text}`.trim() : text;
    line.dataset.final = String(final);
    this.partial[role] = final ? null : line;
    if (final) line.dataset.pending = "turn";
    if (!line.textContent) line.remove();
    scrollTalk();
  }

  on_turn({ role, text, heard_text: heard, interrupted, metrics }) {
    showTurnText(role, text, heard, interrupted);
    this.partial[role] = null;
    if (role === "agent" && metrics && metrics.response_latency !== undefined) {
      showTurnLatency(heard || text, metrics);
    }
  }

  on_tool({ name, status, failed }) {
    if (status === "started") addLine("note", `${texts.tool} ${name}`);
    else if (failed) addLine("note", `${texts.tool_failed} ${name}`);
  }

  on_error({ code, message, provider }) {
    if (code === "provider_replaced" && provider === "browser" && !this.recognition) {
      this.recognise();
    }
    if (texts.problems[code]) {
      this.refused = true;
      showProblem(code);
    } else addLine("note", `${texts.troubles[code] || ""} ${message}`.trim());
  }

  on_ended({ reason }) {
    addLine("note", `${texts.ended} ${texts.reasons[reason] || reason}`);
    this.finish();
  }

  closed(code) {
    if (this.ended) return;
    if (this.resumeToken && this.resume(code)) return;
    if (!this.refused) {  // else the server has said in words why it closes
      showProblem(CLOSE_PROBLEMS[code] || (this.ready ? "server_gone" : "no_connection"));
    }
    this.finish();
  }

  // Try to come back to a call whose socket was cut; false where there is nothing to come back to.
  resume(code) {
    this.cutOffAt = this.cutOffAt || performance.now();
    if (code >= 4000 || performance.now() - this.cutOffAt > RESUME_MS) return false;
    setTimeout(() => { if (!this.ended) this.socket = this.openSocket(); }, RETRY_MS);
    return true;
  }

  recognise() {
    if (!Recognition) { showProblem("no_recognition"); return; }
    let lost = false;
    this.recognition = new Recognition();
    Object.assign(this.recognition, {
      continuous: true, interimResults: true,
      lang: hearingNow().dialect,
    });
    this.recognition.onresult = ({ results, resultIndex }) => {
      for (let i = resultIndex; i < results.length; i += 1) {
        this.send({ type: "transcript", text: results[i][0].transcript, final: results[i].isFinal });
      }
    };
    this.recognition.onerror = ({ error }) => {
      if (!RECOGNITION_FAILS.has(error)) return;
      lost = true;
      showProblem("no_recognition");
    };
    this.recognition.onend = () => { if (!this.ended && !lost) this.recognition.start(); };
    this.recognition.start();
  }

  press(digit) { this.send({ type: "dtmf", digit }); addLine("note", `${texts.pressed} ${digit}`); }

  tick() {
    if (this.startedAt === null) return;
    const seconds = Math.floor((performance.now() - this.startedAt) / 1000);
    view.clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  hangUp() {
    this.send({ type: "hangup" });
    // The server answers with `ended`; if it cannot, the page does not wait for it.
    setTimeout(() => { if (!this.ended) this.finish(); }, 3000);
  }

  finish() {
    this.ended = true;
    clearInterval(this.timer);
    if (this.recognition) this.recognition.stop();
    this.stream.getTracks().forEach((track) => track.stop());
    this.audio.context.close();
    if (this.connection) this.connection.close();
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close(1000);
    if (call === this) { call = null; setIdle(); }
  }
}

// --- what the page shows ----------------------------------------------------------------------

function addLine(role, text = "") {
  const line = document.createElement("li");
  line.dataset.role = role;
  line.textContent = text;
  view.talk.append(line);
  scrollTalk();
  return line;
}

function scrollTalk() { view.talk.scrollTop = view.talk.scrollHeight; }

// A turn replaces its transcript lines; what an interrupted agent did not get to say is struck out.
function showTurnText(role, text, heard, interrupted) {
  const lines = [...view.talk.querySelectorAll(
    `li[data-role="${role}"][data-pending="turn"], li[data-role="${role}"][data-final="false"]`)];
  const line = lines.shift() || addLine(role);
  lines.forEach((other) => other.remove());
  delete line.dataset.pending;
  line.dataset.final = "true";
  line.textContent = role === "agent" ? heard : text;
  if (!interrupted || role !== "agent") return;
  const lost = document.createElement("span");
  lost.className = "unheard";
  lost.textContent = ` ${unheard(text, heard)}`;
  line.append(lost, element("small", texts.interrupted));
}

function unheard(text, heard) {
  if (text.startsWith(heard)) return text.slice(heard.length).trim();
  const words = (some) => some.split(/\s+/).filter(Boolean);
  return words(text).slice(words(heard).length).join(" ");
}

// Where the time of an answer went, as parts that lie one after the other and add up to it.
// With a preemptive reply the model and the voice work while the agent still waits for the end:
// `ahead` ms of theirs (at least) cost the caller nothing, and are told beside the bar.
function partsOf(metrics) {
  const total = metrics.response_latency;
  const wait = Math.min(total, metrics.endpointing_delay || 0);
  const recognition = Math.min(wait, metrics.transcript_delay || 0);
  const model = metrics.llm_first_token || 0;
  const voice = metrics.tts_first_audio || 0;
  const after = total - wait;
  const ahead = Math.max(0, model + voice - after);
  const parts = ahead > 0
    ? { recognition, pause: wait - recognition, rest: after }
    : { recognition, pause: wait - recognition, model, rest: after - model - voice, voice };
  return { total, parts, ahead: ahead > 0 ? { model, voice } : null };
}

const inMs = (name, ms) => `${texts.parts[name]}\u00a0${Math.round(ms)}\u00a0ms`;
const listed = (parts) => Object.entries(parts).filter(([, ms]) => Math.round(ms) > 0)
  .map(([name, ms]) => inMs(name, ms)).join(" · ");

function showTurnLatency(text, metrics) {
  const { total, parts, ahead } = partsOf(metrics);
  view.noTurns.hidden = true;
  const row = document.createElement("li");
  row.dataset.total = total;
  const head = element("div", "", "turns__row");
  head.append(element("span", text), element("strong", `${Math.round(total)} ms`));
  const bar = element("div", "", "bar");
  bar.append(...Object.entries(parts).map(([name, ms]) => barPart(name, ms, total)));
  const details = [listed(parts), ahead && `${texts.ahead} ${listed(ahead)}`].filter(Boolean);
  row.append(head, bar, ...details.map((detail) => element("div", detail, "turns__parts")));
  view.turns.append(row);
  scaleBars();
  view.turns.scrollTop = view.turns.scrollHeight;
}

// All bars share one scale, so that a slow answer is a long one.
function scaleBars() {
  const rows = [...view.turns.children];
  const slowest = Math.max(...rows.map((row) => Number(row.dataset.total)));
  for (const row of rows) {
    row.querySelector(".bar").style.width = `${(100 * row.dataset.total) / slowest}%`;
  }
}

function barPart(name, ms, total) {
  const part = element("i", "", name);
  part.style.width = `${total ? (100 * ms) / total : 0}%`;
  part.title = inMs(name, ms);
  return part;
}

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = name;
  return made;
}

function showLevel(percent) {
  view.level.style.width = `${percent}%`;
  view.meter.setAttribute("aria-valuenow", percent);
}

function showFacts(facts) {
  view.facts.replaceChildren();
  for (const [key, value] of Object.entries(facts)) {
    view.facts.append(element("dt", texts.facts[key] || key), element("dd", value));
  }
}

function setIdle() {
  view.start.hidden = false;
  view.start.disabled = false;
  view.hangUp.hidden = true;
  view.keypad.hidden = true;
  showLevel(0);
  view.setup.disabled = false;
  view.state.dataset.state = "";
  view.state.textContent = texts.no_call;
  view.caller.hidden = true;
}

function setBusy() {
  hideProblem();
  view.start.hidden = true;
  view.hangUp.hidden = false;
  view.keypad.hidden = false;
  view.setup.disabled = true;
  view.caller.hidden = false;
  view.state.textContent = texts.connecting;
  view.clock.textContent = "0:00";
  view.talk.replaceChildren();
  view.turns.replaceChildren();
  view.noTurns.hidden = false;
}

async function startCall() {
  view.start.disabled = true;
  hideProblem();
  let stream = null;
  try {
    stream = await openMicrophone();
    listMicrophones();
    const audio = await openAudio(stream);
    setBusy();
    call = new Call(stream, audio);
  } catch (error) {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    showProblem(error.problem || "unknown", error.problem ? "" : String(error));
    setIdle();
  }
}

view.agent.addEventListener("change", () => { listLanguages(); showNotice(); });
view.language.addEventListener("change", () => showNotice());
view.start.addEventListener("click", startCall);
view.hangUp.addEventListener("click", () => call && call.hangUp());
view.keypad.addEventListener("click", ({ target }) => {
  if (call && target.dataset.digit) call.press(target.dataset.digit);
});
window.addEventListener("pagehide", () => call && call.send({ type: "hangup" }));
if (navigator.mediaDevices) navigator.mediaDevices.addEventListener("devicechange", listMicrophones);
listMicrophones();
setIdle();
listLanguages();
showNotice();
