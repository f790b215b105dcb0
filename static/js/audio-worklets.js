// Both ends of the call's sound, in the audio thread. 16 kHz mono PCM on the wire, 20 ms a frame.

const WIRE_RATE = 16000;
const FRAME = 320;

// Converts between sample rates with a windowed sinc, keeping its state between blocks.
// Passes through when the context already runs at the wire's rate.
class Resampler {
  constructor(from, to) {
    this.step = from / to;
    this.same = from === to;
    this.half = 16;
    this.cutoff = Math.min(1, to / from) * 0.94;
    this.history = new Float32Array(2 * this.half);
    this.position = this.half;
  }

  process(input) {
    if (this.same) return input;
    const joined = new Float32Array(this.history.length + input.length);
    joined.set(this.history);
    joined.set(input, this.history.length);
    const out = [];
    while (this.position + this.half < joined.length) {
      out.push(this.sample(joined, this.position));
      this.position += this.step;
    }
    const keepFrom = Math.max(0, Math.floor(this.position) - this.half);
    this.history = joined.slice(keepFrom);
    this.position -= keepFrom;
    return Float32Array.from(out);
  }

  sample(x, at) {
    const first = Math.floor(at) - this.half + 1;
    let sum = 0;
    for (let i = first; i < first + 2 * this.half; i += 1) {
      const t = at - i;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * t) / this.half);
      const angle = Math.PI * t * this.cutoff;
      const sinc = t === 0 ? this.cutoff : (this.cutoff * Math.sin(angle)) / angle;
      sum += (x[i] || 0) * sinc * window;
    }
    return sum;
  }
}

class CaptureProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, WIRE_RATE);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    for (const value of this.resampler.process(channel)) this.take(value);
    return true;
  }

  take(value) {
    const clipped = Math.max(-1, Math.min(1, value));
    this.frame[this.filled] = clipped * 32767;
    this.energy += clipped * clipped;
    this.filled += 1;
    if (this.filled < FRAME) return;
    const pcm = this.frame.buffer;
    this.port.postMessage({ pcm, level: Math.sqrt(this.energy / FRAME) }, [pcm]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }
}

// Plays what arrives, in order, and reports each mark when the sound before it has been played.
class PlayoutProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(WIRE_RATE, sampleRate);
    this.blocks = [];
    this.offset = 0;
    this.queued = 0; // samples ever queued
    this.played = 0; // samples ever played
    this.marks = [];
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(message) {
    if (message.pcm) {
      const wire = new Int16Array(message.pcm);
      const block = this.resampler.process(Float32Array.from(wire, (v) => v / 32768));
      this.blocks.push(block);
      this.queued += block.length;
    } else if (message.mark) {
      this.marks.push({ name: message.mark, at: this.queued });
      this.report();
    } else if (message.clear) {
      this.blocks = [];
      this.offset = 0;
      this.played = this.queued;
      this.report();
    }
  }

  report() {
    while (this.marks.length && this.marks[0].at <= this.played) {
      this.port.postMessage({ played: this.marks.shift().name });
    }
  }

  process(inputs, outputs) {
    const out = outputs[0][0];
    let written = 0;
    while (written < out.length && this.blocks.length) {
      const block = this.blocks[0];
      const count = Math.min(out.length - written, block.length - this.offset);
      out.set(block.subarray(this.offset, this.offset + count), written);
      written += count;
      this.offset += count;
      if (this.offset === block.length) {
        this.blocks.shift();
        this.offset = 0;
      }
    }
    this.played += written;
    this.report();
    return true;
  }
}

registerProcessor("andrea-capture", CaptureProcessor);
registerProcessor("andrea-playout", PlayoutProcessor);
