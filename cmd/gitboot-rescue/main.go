// Gitboot-rescue is what a machine's recovery entry runs: it brings the network up
// and lets the admins in by ssh. Process 1 starts it, in the initramfs; package
// rescue says what it needs there.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/rescue"
	"github.com/gitboot/gitboot/rescue/folder"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "gitboot-rescue: usage: gitboot-rescue FOLDER; process 1 starts it when the recovery entry is booted")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, "gitboot-rescue:", err)
		os.Exit(1)
	}
}

// stageWait is how long the stage, with the host key, is waited for.
const stageWait = 15 * time.Second

// run does what the files of a folder say.
func run(ctx context.Context, dir string, log *slog.Logger) error {
	text, err := rescue.Optional(filepath.Join(dir, folder.NetworkFile))
	if err != nil {
		return err
	}
	var network rescue.Network
	if text != nil {
		if err := json.Unmarshal(text, &network); err != nil {
			return fmt.Errorf("read how the network is reached: %w", err)
		}
	}
	keys, err := rescue.Optional(filepath.Join(dir, folder.Keys))
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		log.Warn("nobody can log in by ssh: no keys are declared")
		return network.Up(ctx, log)
	}
	l, err := net.Listen("tcp", ":22")
	if err != nil {
		return err
	}
	go func() {
		if err := network.Up(ctx, log); err != nil {
			log.Error("the network stays down", "error", err)
		}
	}()
	host, err := rescue.HostKey(ctx, log, filepath.Join(dir, folder.HostKey), folder.StageHostKey, stageWait)
	if err != nil {
		return err
	}
	server := rescue.Server{Keys: keys, HostKey: host, Shell: "/bin/sh", Log: log}
	return server.Serve(ctx, l)
}
