package program

import "runtime"

// OnThread keeps the thread that starts a program until that has ended: with
// Pdeathsig the kernel kills the program with the thread.
func OnThread(do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return do()
}
