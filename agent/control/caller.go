package control

import (
	"cmp"
	"context"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

type callerKey struct{}

// withCaller notes who is at the other end of a connection, as the kernel says.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx
	}
	var peer *unix.Ucred
	if controlErr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); controlErr != nil || err != nil {
		return ctx
	}
	return context.WithValue(ctx, callerKey{}, peer.Uid)
}

// As is a context in which the caller is known by name: it has shown who it is in
// another way.
func As(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// Caller is the name of the user who asked, empty if that is not known.
func Caller(ctx context.Context) string {
	if name, ok := ctx.Value(callerKey{}).(string); ok {
		return name
	}
	uid, ok := ctx.Value(callerKey{}).(uint32)
	if !ok {
		return ""
	}
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(id)
	if err != nil {
		return "user " + id
	}
	return cmp.Or(u.Username, "user "+id)
}
