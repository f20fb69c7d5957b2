// Search in a folder on disk: browsers start no worker for a page of file://, so there it runs in a hidden frame.
// mkdocs-material's offline plugin takes a script of this name instead of one from elsewhere.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.frame = frame.contentWindow
      this.frame.postMessage = data => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        if (this.onmessage) this.onmessage(event)
      }
      this.ready = load(this.frame, url)
      this.frame.importScripts = (...urls) =>
        urls.reduce((before, one) => before.then(() => load(this.frame, one)), Promise.resolve())
    }
    postMessage(data) {
      this.ready.then(() => this.frame.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() {
      this.frame.frameElement.remove()
    }
  }

  function load(frame, url) {
    return new Promise((done, failed) => {
      const script = frame.document.createElement("script")
      script.src = url
      script.onload = done
      script.onerror = failed
      frame.document.body.appendChild(script)
    })
  }
}
