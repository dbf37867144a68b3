package confine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread calls f on an operating system thread of its own, whose
// namespaces, umask and capabilities f may change: a process that f starts
// inherits them, and the thread ends with f.
func OnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			done <- f() // never unlocked, so the runtime ends the thread
			return
		}
		// The main thread is what others see of this process below /proc,
		// and it never ends: hold it while f runs elsewhere.
		err := OnThread(f)
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}
