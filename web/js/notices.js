// Short notices of a node that runs: where its work was saved, and how to go on.
import { app } from "../../../scripts/app.js"

const EVENT = "chunkygan.notice" // nodes/notices.py sends it
const SECONDS = { info: 20, error: 40 }

app.registerExtension({
  name: "ChunkyGAN.notices",
  setup() {
    app.api?.addEventListener?.(EVENT, ({ detail }) => {
      app.extensionManager?.toast?.add?.({
        severity: detail.severity,
        summary: "ChunkyGAN",
        detail: detail.text,
        life: 1000 * (SECONDS[detail.severity] ?? SECONDS.info),
      })
    })
  },
})
