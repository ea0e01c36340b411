//go:build !unix && !windows

package command

import (
	"os"
	"os/exec"
)

// ownGroup does nothing where there are no process groups.
func ownGroup(*exec.Cmd) {}

// killGroup kills the helper alone.
func killGroup(leader *os.Process) error { return leader.Kill() }
