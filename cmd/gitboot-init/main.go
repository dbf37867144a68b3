// Gitboot-init is process 1 of gitboot's initramfs: it finds the stage, mounts
// the layers of a deployment and enters the image. Package early says what it
// needs and what it leaves behind; package watcher is what it does under another
// name meanwhile. It is no use anywhere else.
package main

import (
	"fmt"
	"os"

	"github.com/gitboot/gitboot/initramfs/early"
	"github.com/gitboot/gitboot/initramfs/early/watcher"
)

func main() {
	if os.Args[0] == watcher.Name {
		watcher.Run()
		return
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "gitboot-init: this is process 1 of gitboot's initramfs; it does nothing elsewhere")
		os.Exit(2)
	}
	early.Run(os.Args[1:])
	os.Exit(1)
}
