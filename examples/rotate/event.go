package main

import (
	"fmt"
	"strings"

	"github.com/keybearer/keybearer/rotation"
)

// event prints what happened to the rotation. It is a Rotator's OnEvent.
func (s *screen) event(e rotation.RotatorEvent) { s.eventOf("rotator", e) }

func (s *screen) eventOf(who string, e rotation.RotatorEvent) {
	if e.Dropped > 0 {
		s.say(who, "%d events were lost", e.Dropped)
	}
	s.say(who, "%s", describe(e))
}

// happened says what an event is, in the words that follow the name of the key.
var happened = map[rotation.RotatorEventKind]string{
	rotation.RotationStarted:    "begins",
	rotation.RotationMinted:     "is minted and staged, where no reader sees it",
	rotation.RotationTested:     "is accepted by the service",
	rotation.RotationPromoted:   "is what readers get from now on",
	rotation.RotationVetoed:     "is not revoked yet",
	rotation.RotationOverdue:    "is STILL IN USE past the longest drain; it is not revoked, find out who uses it",
	rotation.RotationRevoked:    "is revoked",
	rotation.RotationFinished:   "is complete",
	rotation.RotationRolledBack: "is what readers get again",
	rotation.RotationFailed:     "FAILED",
	rotation.RotationReported:   "needs your attention; it is left alone",
	rotation.RotationOrphan:     "was never used and is not needed: it will be revoked",
	rotation.RotationStopped:    "STOPPED; nothing was deleted: look, then run adopt",
	rotation.RotationAdopted:    "is taken for the current key",
	rotation.RotationExpiring:   "ends soon",
	rotation.RotationError:      "could not take a step, and tries again",
}

// describe says what happened in a line.
func describe(e rotation.RotatorEvent) string {
	if e.Kind == rotation.RotationRequested { // what it carries is the rotation before
		return "records what was asked for: " + e.Why
	}
	subject := "key " + e.KeyName
	switch {
	case e.KeyName == "" && e.KeyID != "":
		subject = "key " + e.KeyID
	case e.KeyName == "" && e.Fingerprint != "":
		subject = "the key with the fingerprint " + e.Fingerprint
	case e.KeyName == "" && e.Rotation != "":
		subject = "rotation " + e.Rotation
	case e.KeyName == "":
		subject = "the rotation"
	}
	if e.Kind == rotation.RotationMinted {
		subject += " (fingerprint " + e.Fingerprint + ")"
	}
	what, ok := happened[e.Kind]
	if !ok {
		what = string(e.Kind)
	}
	parts := []string{subject + " " + what}
	if e.Why != "" {
		parts = append(parts, e.Why)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// keyLine describes a key on record.
func keyLine(k *rotation.KeyRecord) string {
	if k == nil {
		return "none"
	}
	name := k.Name
	switch {
	case k.Foreign && k.ID != "":
		name = k.ID + " (not minted here: never revoked)"
	case k.Foreign:
		name = "not minted here: never revoked"
	default:
		name += " (" + k.ID + ")"
	}
	text := fmt.Sprintf("%s, fingerprint %s", name, k.Fingerprint)
	if !k.ExpiresAt.IsZero() {
		text += ", ends " + k.ExpiresAt.UTC().Format("2006-01-02 15:04")
	}
	return text
}
