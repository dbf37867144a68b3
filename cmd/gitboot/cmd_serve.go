package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/agent/mirror"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
)

func newServe(a *app) *cobra.Command {
	var at listen.Options
	c := &cobra.Command{Use: "serve", Short: "Give other machines what is on this stage, as a registry's mirror", Args: usage.NoArgs,
		Long: `serve answers over HTTP for what this machine has staged: objects of images' layers,
kernels and initramfs, by their digest, read-only. Machines that name it among an image's
mirrors and believe those who published its objects (objects_from, cosign_key) fetch them
from here, and everything else, such as what a tag means and the signatures, from the
registry: one download for a house.

Layers of hooks, which may hold secrets, and a recovery entry are not given out, nor is
anything of the config repo or the state. Whoever reaches the address and knows the digest
of an image's object gets it, also of an image whose registry asks for a password.

It serves until it is stopped. The agent does the same with a section [serve] in
agent.toml.`,
		Example: `  gitboot serve --listen 192.168.1.2:8376 --tls-cert cert.pem --tls-key key.pem
  gitboot serve --listen 192.168.1.2:8376 --insecure`}
	c.Flags().StringVar(&at.Address, "listen", "127.0.0.1:8376", "`ADDRESS` to listen on: IP:PORT, or unix:///PATH")
	c.Flags().StringVar(&at.Cert, "tls-cert", "", "certificate `FILE` (PEM)")
	c.Flags().StringVar(&at.Key, "tls-key", "", "its key's `FILE` (PEM)")
	c.Flags().BoolVar(&at.Insecure, "insecure", false, "plain HTTP though others reach the address")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := at.Check(); err != nil {
			return usage.Errorf("--listen: %w", err)
		}
		st, err := a.openStage()
		if err != nil {
			return err
		}
		l, err := at.Open()
		if err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "serving %s at %s\n", st.Dir(), l.Addr())
		return listen.Serve(c.Context(), l, mirror.Connections, mirror.New(st))
	}
	return c
}
