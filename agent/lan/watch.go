package lan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long changes are gathered: a link that comes up is told of many times.
const settle = 200 * time.Millisecond

// watch calls a function after links or addresses of this machine have changed, by the
// kernel's news, until ctx ends.
func watch(ctx context.Context, news *os.File, changed func()) error {
	defer context.AfterFunc(ctx, func() { news.Close() })()
	var pending atomic.Bool
	buf := make([]byte, 1<<14)
	for {
		// What it says does not matter, nor that some was lost.
		if _, err := news.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("listen for changes of this machine's networks: %w", err)
		}
		if pending.CompareAndSwap(false, true) {
			time.AfterFunc(settle, func() {
				pending.Store(false)
				changed()
			})
		}
	}
}

// listen opens what the kernel tells of links and addresses (rtnetlink(7)).
func listen() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}
	if err := unix.Bind(fd, to); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}
