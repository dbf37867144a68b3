package secret

import "runtime"

// Wipe overwrites what is not needed any more.
func Wipe(b []byte) {
	clear(b)
	runtime.KeepAlive(&b)
}

// stackRoom is more than decrypting takes of a stack.
const stackRoom = 64 << 10

// aside runs do on a stack of its own, which is large enough from the beginning
// and overwritten at the end: a stack that grows leaves copies behind, and
// ciphers leave on it what they work on.
func aside(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer sweep()
		sweep()
		do()
	}()
	<-done
}

//go:noinline
func sweep() byte {
	var room [stackRoom]byte
	clear(room[:])
	runtime.KeepAlive(&room)
	return room[len(room)-1]
}
