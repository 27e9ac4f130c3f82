import signal


def pytest_configure() -> None:
    # A shell without job control starts what it runs in the background with Ctrl-C ignored, and the
    # tests that interrupt something would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
