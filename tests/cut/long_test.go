//go:build long

package cut

import "testing"

func TestLongPowerCut(t *testing.T) { cutPower(t, 100_000, 1) }
