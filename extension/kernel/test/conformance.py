"""The Jupyter project's conformance suite (jupyter_kernel_test) against the kernel of LAZYCLUSTER_TEST_KERNEL.

It is run once with this project's kernel, where each test counts, and once with stock tslab, for its score.
"""

import os
import signal
from queue import Empty

import jupyter_kernel_test
import pytest

KERNEL = os.environ["LAZYCLUSTER_TEST_KERNEL"]

RESULTS = [
    {"code": "6 * 7", "result": "42"},
    {"code": '"an" + " expression"', "result": "an expression"},
    {"code": "[1, 2, 3].map((x) => x * x)", "result": "[ 1, 4, 9 ]"},
    {"code": "await Promise.resolve(5)", "result": "5"},
    {"code": "await (async () => 6)()", "result": "6"},
]
STOCK = KERNEL != "lazycluster"
# Stock tslab never answers some requests, and the suite waits for some answers for ever.
TEST_TIMEOUT_S = 30


@pytest.fixture(autouse=True)
def bounded():
    def expire(*_):
        raise TimeoutError(f"no answer within {TEST_TIMEOUT_S} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(TEST_TIMEOUT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class TypeScriptTests(jupyter_kernel_test.KernelTests):
    kernel_name = KERNEL
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('careful')"
    code_generate_error = "throw new Error('on purpose')"
    code_execute_result = RESULTS
    code_display_data = [
        {"code": 'import { display } from "tslab"; display.html("<b>bold</b>")', "mime": "text/html"},
        {"code": 'display.png(Buffer.from("x"))', "mime": "image/png"},
    ]
    completion_samples = [
        {"text": "consol", "matches": {"console"}},
        {"text": "const word: string = 'a'; word.toUpperC", "matches": {"toUpperCase"}},
        *([] if STOCK else [{"text": "%lazycluster list-run", "matches": {"list-runtimes"}}]),
    ]
    complete_code_samples = ["1", "let x = 5", "function f() {}", "await (x)", "for await (const x of y) {}"]
    incomplete_code_samples = ["function f() {", "[1,", "`a", "if (x) {\n  y", "/* a", "call("]
    invalid_code_samples = ["let 5x = 1", "}", "const = 5", "f(]"]
    code_inspect_sample = "parseInt"
    code_history_pattern = "6 * 7"
    supported_history_operations = ("tail", "range", "search")
    code_page_something = 'import { page } from "lazycluster"; page("something")'
    code_clear_output = 'import { clearOutput } from "lazycluster"; clearOutput()'

    def setUp(self):
        # Answers that stock tslab gives late, and its answers to the start, must not count against the tests that follow.
        while STOCK:
            try:
                self.kc.get_shell_msg(timeout=0.5)
            except Empty:
                break

    def test_completion(self):
        # As for the other questions: the answer to an earlier request must not be taken for this one's.
        self.flush_channels()
        super().test_completion()


class WelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True
