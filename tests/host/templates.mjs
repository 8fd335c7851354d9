// Opens every template of a pack as a user does: template browser, the pack's name, a click on the card; then runs it.
//
//   node templates.mjs http://127.0.0.1:8188 PACK_FOLDER_NAME SCREENSHOTS_FOLDER
//
// Prints one line of JSON for each template: {name, json, thumbnail, picture, graph, rectangles, ended, message}.
//   json, thumbnail: HTTP status of the template's two files; picture: width in pixels of the picture that its card shows
//   graph: what a click put on the canvas, in the save format, or null; rectangles: id -> [x, y, width, height] of its
//   nodes after the run; ended, message: how the run ended
// A last line tells {listed, errors}: the templates that the host lists, and the page's uncaught errors.
import { mkdirSync } from 'node:fs'
import { runGraph, withPage } from './page.mjs'

const [url, pack, shots] = process.argv.slice(2)
const TEMPLATES = `${url}/api/workflow_templates`
const PATIENCE = { timeout: 60_000 }

async function browse(page) {
  await page.evaluate(() => {
    app.graph.clear()
    return app.extensionManager.command.execute('Comfy.BrowseTemplates')
  })
  const dialog = page.getByRole('dialog').last()
  await dialog.getByText(pack, { exact: true }).first().click(PATIENCE)
  return dialog
}

async function fileStatus(file) {
  const answer = await fetch(`${TEMPLATES}/${encodeURIComponent(pack)}/${file}`)
  await answer.arrayBuffer() // an answer that isn't read to its end keeps its connection, and with it this process
  return answer.status
}

async function shownWidth(card) {
  const picture = card.locator('img').first()
  await picture.waitFor({ timeout: 10_000 }).catch(() => {}) // without one the card shows a placeholder
  return await picture.count() ? picture.evaluate(one => one.decode().then(() => one.naturalWidth, () => 0)) : 0
}

async function click(page, card) {
  await card.click(PATIENCE)
  const opened = await page.waitForFunction(() => app.graph.nodes.length > 0, null, { timeout: 10_000 })
    .then(() => true, () => false)
  if (!opened) await page.keyboard.press('Escape')
  await page.waitForTimeout(1500) // the canvas moves to the graph
  return opened
}

async function runOpened(page, name) {
  await page.screenshot({ path: `${shots}/${name}_opened.png` })
  const { ended, message } = await runGraph(page)
  await page.waitForTimeout(1500) // the last pictures arrive
  await page.screenshot({ path: `${shots}/${name}_ran.png` })
  const canvas = await page.evaluate(() => ({
    graph: app.graph.serialize(),
    rectangles: Object.fromEntries(app.graph.nodes.map(node => [node.id, Array.from(node.getBounding())])),
  }))
  return { ...canvas, ended, message }
}

async function visit(page, name) {
  const card = (await browse(page)).getByTestId(`template-workflow-${name}`)
  await card.waitFor(PATIENCE)
  const report = {
    name, json: await fileStatus(`${name}.json`), thumbnail: await fileStatus(`${name}.jpg`), picture: await shownWidth(card),
  }
  await page.screenshot({ path: `${shots}/${name}_browser.png` })
  const opened = await click(page, card)
  return { ...report, graph: null, rectangles: {}, ended: 'not opened', ...(opened ? await runOpened(page, name) : {}) }
}

mkdirSync(shots, { recursive: true })
const listed = (await (await fetch(TEMPLATES)).json())[pack] ?? []
await withPage(url, async (page, errors) => {
  for (const name of listed) console.log(JSON.stringify(await visit(page, name)))
  console.log(JSON.stringify({ listed, errors }))
})
