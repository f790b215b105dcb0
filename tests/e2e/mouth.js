// A microphone that says what a test wants, when it wants. It replaces the machine's.

if (navigator.mediaDevices) {
  let context = null;
  let target = null;

  navigator.mediaDevices.getUserMedia = async () => {
    context = new AudioContext();
    target = context.createMediaStreamDestination();
    // A microphone is never without sound, if it is only silence.
    const silence = new ConstantSourceNode(context, { offset: 0 });
    silence.connect(target);
    silence.start();
    return target.stream;
  };

  // `wav` is base64; `delay` in seconds is part of what is said. Resolves when all was said.
  window.say = async (wav, delay) => {
    const bytes = Uint8Array.from(atob(wav), (c) => c.charCodeAt(0));
    const source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(bytes.buffer);
    source.connect(target);
    const said = new Promise((resolve) => { source.onended = resolve; });
    source.start(context.currentTime + delay);
    await said;
  };
}
