// gitboot-buildkit has an image built by a BuildKit daemon. gitboot runs it;
// build/engine/speaker/protocol says how.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/gitboot/gitboot/build/engine/speaker"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logrus.SetLevel(logrus.ErrorLevel) // the client's libraries warn of what concerns nobody
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("gitboot runs this program, with check or build and a request; see gitboot's documentation of engines")
	}
	var r protocol.Request
	if err := json.Unmarshal([]byte(args[1]), &r); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	switch args[0] {
	case "check":
		return speaker.Check(ctx, r.Builder)
	case "build":
		id, err := speaker.Build(ctx, r, os.Stderr)
		if err != nil {
			return err
		}
		_, err = fmt.Println(id)
		return err
	}
	return fmt.Errorf("%q is neither check nor build", args[0])
}
