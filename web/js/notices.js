// What a running node has to say: where its work was saved, and how to go on. nodes/notices.py sends it.
import { app } from "../../../scripts/app.js"

const NOTICE = "chunkygan.notice"
const TEXT = "chunkygan.text"
const SECONDS = { info: 20, warn: 40, error: 40 }

app.registerExtension({
  name: "ChunkyGAN.notices",
  setup() {
    app.api?.addEventListener?.(TEXT, ({ detail }) => {
      const node = app.graph?.getNodeById?.(Number(detail.node))
      if (node && node.type !== detail.type) return // another workflow was opened meanwhile
      app.api.dispatchCustomEvent?.("progress_text", { nodeId: detail.node, text: detail.text })
    })
    app.api?.addEventListener?.(NOTICE, ({ detail }) => {
      app.extensionManager?.toast?.add?.({
        severity: detail.severity,
        summary: "ChunkyGAN",
        detail: detail.text,
        life: 1000 * (SECONDS[detail.severity] ?? SECONDS.info),
      })
    })
  },
})
