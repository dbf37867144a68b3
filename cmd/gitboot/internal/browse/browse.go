// Package browse is the command that opens the agent's page.
package browse

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/agent"
	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/program"
)

// New returns the command.
func New(client func() (*control.Client, error)) *cobra.Command {
	var noOpen, asJSON bool
	c := &cobra.Command{
		Use:   "page",
		Short: "Open the agent's page in a browser",
		Long: `page asks the running agent for the address of its page, with a key that is good
once, within two minutes: the page that it opens can reconcile, approve, pin, suspend and
choose the default. Without a key the page only shows.

It opens a browser where a display is, and prints the address in any case. The
page is off unless agent.toml has page.listen.`,
		Example: "  gitboot page\n  gitboot page --no-open\n  ssh -L 8375:127.0.0.1:8375 laptop gitboot page",
		Args:    usage.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			agent, err := client()
			if err != nil {
				return err
			}
			return run(c.Context(), c.OutOrStdout(), agent, noOpen, asJSON)
		},
	}
	c.Flags().BoolVar(&noOpen, "no-open", false, "only print the address")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON with stable fields, and open nothing")
	return c
}

func run(ctx context.Context, out io.Writer, client *control.Client, noOpen, asJSON bool) error {
	var at agent.PageAddress
	if err := client.Do(ctx, "page", struct{}{}, &at); err != nil {
		return err
	}
	switch {
	case asJSON:
		return screen.JSON(out, at)
	case at.Socket != "":
		_, err := fmt.Fprintf(out, "the page is on the socket %s; to reach it from a browser, forward a port to it:\n  ssh -L 8375:%s HOST\nand open %s\n", at.Socket, at.Socket, at.URL)
		return err
	}
	if _, err := fmt.Fprintln(out, at.URL); err != nil || noOpen || !display() {
		return err
	}
	return open(ctx, at.URL)
}

// display reports whether a browser could be seen.
func display() bool {
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// open has the desktop open a file that leads to an address: other users see the
// arguments of a program, and the key in them could be used before the browser
// does.
func open(ctx context.Context, url string) error {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return errors.New("no browser was opened, because XDG_RUNTIME_DIR is not set; open the address above")
	}
	path := filepath.Join(dir, "gitboot-page.html")
	text := `<!DOCTYPE html><meta http-equiv="refresh" content="0;url=` + html.EscapeString(url) + `"><title>gitboot</title>`
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	cmd := program.Command(ctx, "xdg-open", path)
	cmd.Env = append(cmd.Env, program.Inherited("HOME", "USER", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_*", "BROWSER")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("open a browser: %w: %s; open the address above", err, strings.TrimSpace(string(out)))
	}
	return nil
}
