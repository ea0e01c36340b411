// Package awslambda is a rotation function of AWS Secrets Manager for API keys:
// AWS keeps the schedule, and calls the function for each step of a rotation.
//
//	issuer, err := openaiadmin.New(...)
//	handler, err := awslambda.New(ctx, issuer, nil)
//	lambda.Start(handler.Handle)
//
// docs/aws.md has the policies of its role and the commands that set it up.
//
// # The steps
//
//	createSecret   revokes what former rotations have left, mints a key and
//	               stores it under AWSPENDING, with the other fields of the
//	               present value
//	setSecret      sees that there is a key: it is alive since it was minted
//	testSecret     asks the service with it
//	finishSecret   moves AWSCURRENT to it, in one step, and
//	               takes AWSPENDING away
//
// AWS repeats a step whose answer it did not get, and after a failure the whole
// rotation; each invocation may end at any moment, and two may run at one time.
// Nothing is kept between them but the secret and the names of the keys, which
// are "keybearer-lambda/", eight digits that stand for the secret, and the id
// of the version. A key that was minted and not stored is found by its name and
// revoked before another one is minted. In the rare case that a key is revoked
// while another invocation stores it, testSecret fails, the rotation is given
// up and the next one starts anew; the current key is not touched.
//
// # What is revoked
//
// A key that was current is revoked at the start of a later rotation, when it
// has been out of use for Options.Quiet: it lives on for an interval of the
// schedule. One that is still in use is left to a later rotation, and at last to
// its own end.
//
// Options.Overlap counts from the end of the last rotation, which AWS tells
// (LastRotatedDate). Where AWSCURRENT is on a version that the last rotation
// cannot have promoted, being older than AWSPREVIOUS or made since, somebody has
// moved it, perhaps a moment ago: a rotation that finds this revokes no former
// key, and the next one does. That nobody has moved the label away and back
// again within Overlap is assumed, as AWS keeps no record of it; a key that was
// used meanwhile is kept by Options.Quiet.
//
// Nothing is revoked but keys that the issuer owns, under exactly the name of a
// version of this secret, whose version holds exactly this key (or, if there is
// no value, that were never used), and that are not the current key. What is
// left alone is logged, with the reason.
//
// # The Rotator or the function
//
// A rotation.Rotator on package awsstore tells more and waits for more. It
// revokes the old key as soon as that is idle, a day after the promotion by
// default; it can roll back, has modes for emergencies, Health, metrics and
// traces, a plan, and stops when it finds a value that it cannot explain. It is
// a process, or a scheduled function, of your own. The function needs neither a
// state nor a process, and its rotations are those of AWS: its schedule, its
// console, RotateSecret, its events and alarms. It cannot wait, so that keys
// live for two intervals, and a value that somebody stored by hand is simply
// replaced. For an emergency call RotateSecret, and revoke the old key at the
// service.
//
// To put the former key back, move AWSCURRENT, by hand or by way of
// awsstore.Options.Lambda. One secret has one of the two: package awsstore
// refuses a secret that AWS rotates.
//
// # Errors
//
// An error of Handle ends the step; AWS tries again, then reports
// RotationFailed. It shows no key, no token of the event and no text of the
// service's. Neither do the log lines.
package awslambda
