"""What Jupyter clients rely on beyond the conformance suite."""

from __future__ import annotations

import os
import signal
import time


def test_a_failing_cell_stops_those_behind_it_unless_told_otherwise(kernel):
    def statuses(**options):
        return kernel.statuses([kernel.send(code, **options) for code in ("throw new Error('first')", "'second'", "'third'")])

    assert statuses() == ["error", "aborted", "aborted"]
    assert statuses(stop_on_error=False) == ["error", "ok", "ok"]
    assert kernel.run("'after'").result == "after"


def test_silent_cells_leave_no_trace(kernel):
    before = kernel.run("1").reply["execution_count"]
    cell = kernel.run("5", silent=True)
    assert [message["msg_type"] for message in cell.messages] == ["status", "status"]
    assert cell.reply["execution_count"] == before
    assert kernel.run("7", store_history=False).result == "7"
    assert kernel.run("6").reply["execution_count"] == before + 1


def test_user_expressions_are_evaluated_after_the_cell(kernel):
    reply = kernel.run("let seven = 7;", user_expressions={"good": "seven * 6", "bad": "nothing"}).reply
    assert reply["user_expressions"]["good"]["data"]["text/plain"] == "42"
    assert reply["user_expressions"]["bad"]["status"] == "error"


def test_cursors_count_code_points(kernel):
    code = 'const text = "💡💡"; text.toUpperC'
    content = kernel.ask(kernel.client.complete(code, len(code)))
    assert content["matches"] == ["toUpperCase"]
    assert (content["cursor_start"], content["cursor_end"]) == (code.index("toUpper"), len(code))
    found = kernel.ask(kernel.client.inspect('"💡"; parseFloat("1")', 10))
    assert "parseFloat" in found["data"]["text/plain"]


def test_comms_are_answered(kernel):
    message = kernel.client.session.msg("comm_info_request", {"target_name": "jupyter.widget"})
    kernel.client.shell_channel.send(message)
    assert kernel.ask(message["header"]["msg_id"]) == {"status": "ok", "comms": {}}
    message = kernel.client.session.msg("comm_open", {"comm_id": "a", "target_name": "nobody", "data": {}})
    kernel.client.shell_channel.send(message)
    while True:
        heard = kernel.client.get_iopub_msg(timeout=20)
        if heard["msg_type"] == "comm_close":
            assert heard["content"]["comm_id"] == "a"
            break


def test_the_user_is_asked(kernel):
    msg_id = kernel.client.execute('import { readLine } from "lazycluster";\nconst name = await readLine("Name: "); name', allow_stdin=True)
    question = kernel.client.get_stdin_msg(timeout=20)
    assert question["content"] == {"prompt": "Name: ", "password": False}
    kernel.client.input("Ada 💡")
    assert kernel.finish(msg_id).result == "Ada 💡"
    assert "cannot ask" in kernel.run('await readLine("Name: ")', allow_stdin=False).error


def test_a_question_can_be_interrupted(kernel):
    msg_id = kernel.client.execute('import { readLine } from "lazycluster";\nawait readLine("Never: ", { password: true })', allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=20)["content"]["password"] is True
    kernel.interrupt()
    assert kernel.finish(msg_id, 5).reply["ename"] == "Interrupted"


def test_a_question_ends_with_its_cell(kernel):
    kernel.run('import { readLine } from "lazycluster";')
    lost = "await Promise.race([readLine('first'), new Promise((resolve) => setTimeout(resolve, 50, 'too late'))])"
    msg_id = kernel.client.execute(lost, allow_stdin=True)
    first = kernel.client.get_stdin_msg(timeout=20)
    assert kernel.finish(msg_id).result == "too late"
    msg_id = kernel.client.execute("await readLine('second')", allow_stdin=True)
    second = kernel.client.get_stdin_msg(timeout=20)
    for question, text in ((first, "for the first"), (second, "for the second")):
        kernel.client.stdin_channel.send(kernel.client.session.msg("input_reply", {"value": text}, parent=question))
    assert kernel.finish(msg_id).result == "for the second"


def test_requests_are_answered_while_a_cell_waits(kernel):
    msg_id = kernel.send("await new Promise((resolve) => setTimeout(resolve, 2000));")
    asked = time.monotonic()
    assert kernel.ask(kernel.client.complete("parseIn"))["matches"][0] == "parseInt"
    assert time.monotonic() - asked < 2
    kernel.finish(msg_id)


def test_a_busy_cell_stops_no_heartbeat_and_no_kernel_info(kernel):
    msg_id = kernel.send("const end = Date.now() + 3000; while (Date.now() < end);")
    time.sleep(0.5)
    asked = time.monotonic()
    assert kernel.ask(kernel.client.kernel_info())["status"] == "ok"
    assert time.monotonic() - asked < 2
    # Clients show what they heard last.
    states = [m["content"]["execution_state"] for m in kernel.until(msg_id, lambda cell: len(cell.contents("status")) > 1).messages if m["msg_type"] == "status"]
    assert states == ["busy", "busy"]
    assert kernel.client.is_alive() and kernel.client.hb_channel.is_beating()
    kernel.finish(msg_id)


def test_a_display_is_replaced(kernel):
    # Clients have removed what a cell showed when it is executed again.
    for _ in range(2):
        cell = kernel.run(
            'import { display } from "lazycluster";\n'
            'for (const text of ["a", "b"]) display({ "text/plain": text }, { displayId: "one" });'
        )
        kinds = [m["msg_type"] for m in cell.messages if m["msg_type"].endswith("display_data")]
        assert kinds == ["display_data", "update_display_data"]


def test_a_display_is_replaced_by_what_goes_on_after_its_cell(kernel):
    msg_id = kernel.send(
        'import { display } from "lazycluster";\n'
        'display({ "text/plain": "a" }, { displayId: "two" });\n'
        'setTimeout(() => display({ "text/plain": "b" }, { displayId: "two" }), 200);'
    )
    kernel.until(msg_id, lambda cell: any(m["msg_type"] == "update_display_data" for m in cell.messages))


def test_it_leaves_at_once_when_asked(start):
    for last in ("setInterval(() => undefined, 1000);", "import 'lazycluster';"):
        kernel = start()
        kernel.run(last)
        process = kernel.manager.provisioner.process
        began = time.monotonic()
        kernel.client.shutdown()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 2
    kernel = start()
    kernel.run("1")
    process = kernel.manager.provisioner.process
    kernel.send("for (;;) {}")
    time.sleep(0.5)
    kernel.client.shutdown()
    assert process.wait(10) is not None


def test_a_cell_may_end_the_kernel(start, capfd):
    for code in ("console.log('last words'); process.exit(3);", "await null; console.log('last words'); process.exit(3);"):
        kernel = start()
        msg_id = kernel.send(code)
        process = kernel.manager.provisioner.process
        kernel.until(msg_id, lambda cell: "last words" in cell.text())
        assert process.wait(10) == 3
    assert capfd.readouterr().err == ""


def test_a_message_with_a_wrong_signature_is_ignored(kernel):
    key = kernel.client.session.key
    kernel.client.session.key = b"not the key"
    try:
        kernel.client.execute("globalThis.forged = true")
    finally:
        kernel.client.session.key = key
    assert kernel.run("'forged' in globalThis").result == "false"


def test_a_signal_ends_a_wait(kernel):
    msg_id = kernel.send("await new Promise(() => undefined);")
    time.sleep(0.5)
    os.kill(kernel.pid, signal.SIGINT)
    assert kernel.finish(msg_id, 5).reply["ename"] == "Interrupted"
