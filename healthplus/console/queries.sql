-- name: clinic_accounts
-- The people of a clinic.
SELECT * FROM console.clinic_accounts($1, $2, $3)

-- name: remove_from_desk
-- Take the front desk of a clinic from somebody.
SELECT console.remove_from_desk($1, $2, $3, $4) AS outcome

-- name: add_to_desk
-- Add somebody to the front desk of a clinic, with a link.
SELECT console.add_to_desk($1, $2, $3, $4, $5, $6) AS staff_id

-- name: link_for_desk
-- Make a new link for somebody of the front desk.
SELECT console.link_for_desk($1, $2, $3, $4, $5, $6) AS outcome

-- name: disable_desk_account
-- End the way in of somebody of the front desk.
SELECT console.disable_desk_account($1, $2, $3, $4) AS outcome

-- name: enable_desk_account
-- Let somebody of the front desk in again, with a new link.
SELECT console.enable_desk_account($1, $2, $3, $4, $5) AS outcome

-- name: accounts
-- A page of all accounts.
SELECT * FROM console.accounts($1, $2, $3, $4, $5)

-- name: account
-- One account.
SELECT * FROM console.account($1, $2, $3)

-- name: add_account
-- Add an account with a role and a link.
SELECT * FROM console.add_account($1, $2, $3, $4, $5, $6, $7, $8)

-- name: set_role
-- Have somebody be something at a clinic, or nothing any more; with a link, if they must choose a password again.
SELECT console.set_role($1, $2, $3, $4, $5, $6, $7) AS outcome

-- name: make_link
-- Make a new link.
SELECT console.make_link($1, $2, $3, $4, $5) AS outcome

-- name: disable_account
-- End somebody's way in.
SELECT console.disable_account($1, $2, $3) AS outcome

-- name: enable_account
-- Let somebody in again, with a new link.
SELECT console.enable_account($1, $2, $3, $4) AS outcome

-- name: audit
-- A page of the audit.
SELECT * FROM console.audit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: export_audit
-- The audit to take away, a page of it.
SELECT * FROM console.export_audit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: history
-- All that is known of one appointment, or of a patient's.
SELECT * FROM console.history($1, $2, $3, $4, $5, $6, $7)

-- name: breaches
-- The breaches, as they stand.
SELECT * FROM console.breaches($1, $2)

-- name: breach_entries
-- The entries of a breach.
SELECT * FROM console.breach_entries($1, $2, $3)

-- name: note_breach
-- Note a breach.
SELECT console.note_breach($1, $2, $3, $4, $5, $6, $7) AS breach_id

-- name: add_to_breach
-- Add an entry to a breach.
SELECT console.add_to_breach($1, $2, $3, $4, $5, $6, $7, $8, $9) AS outcome

-- name: find_booking
-- The appointments of a number.
SELECT * FROM console.find_booking($1, $2, $3, $4, $5, $6)

-- name: ask
-- Ask for a change of an appointment.
SELECT console.ask($1, $2, $3, $4, $5, $6, $7, $8) AS outcome

-- name: send_link
-- Text the patient of an appointment a link by which they move it.
SELECT console.send_link($1, $2, $3, $4, $5) AS answer

-- name: asks
-- What is asked at a clinic, and what was answered lately.
SELECT * FROM console.asks($1, $2, $3)

-- name: answer_ask
-- Confirm or refuse what was asked.
SELECT * FROM console.answer_ask($1, $2, $3, $4, $5)

-- name: clinics
-- A page of the clinics.
SELECT * FROM console.clinics($1, $2, $3, $4, $5, $6)

-- name: see_system
-- Note that somebody looks at errors and back-ups.
SELECT console.see_system($1, $2)

-- name: developer_keys
-- The keys of developers.
SELECT * FROM console.keys($1, $2)

-- name: add_key
-- Add a developer's key.
SELECT console.add_key($1, $2, $3, $4, $5, $6, $7, $8) AS key_id

-- name: revoke_key
-- Revoke a developer's key.
SELECT console.revoke_key($1, $2, $3) AS name

-- name: office
-- A clinic with its providers and leave.
SELECT console.office($1, $2, $3)

-- name: holiday
-- The leaves that make up a holiday.
SELECT * FROM console.holiday($1, $2, $3, $4)

-- name: week
-- A provider's week.
SELECT console.week($1, $2, $3, $4, $5)

-- name: provider
-- A provider of a clinic.
SELECT console.provider($1, $2, $3, $4)

-- name: services
-- The services and terms of a clinic.
SELECT console.services($1, $2, $3)

-- name: change_shifts
-- Change shifts of a provider.
SELECT console.change_shifts($1, $2, $3, $4, $5, $6, $7, $8, $9) AS answer

-- name: add_leave
-- Add a leave of a provider.
SELECT console.add_leave($1, $2, $3, $4, $5, $6, $7, $8, $9) AS answer

-- name: remove_leave
-- Take a leave back.
SELECT console.remove_leave($1, $2, $3, $4, $5) AS answer

-- name: in_the_way_of_holiday
-- What is in the way of a holiday of a clinic.
SELECT console.in_the_way_of_holiday($1, $2, $3, $4, $5)

-- name: set_provider_closed
-- Close a provider at a clinic, or open it.
SELECT console.set_provider_closed($1, $2, $3, $4, $5, $6) AS answer

-- name: set_clinic_closed
-- Close a clinic, or open it.
SELECT console.set_clinic_closed($1, $2, $3, $4) AS answer

-- name: add_clinic
-- Add a clinic.
SELECT console.add_clinic($1, $2, $3) AS answer

-- name: put_clinic
-- Change what a clinic says of itself.
SELECT console.put_clinic($1, $2, $3, $4, $5) AS answer

-- name: put_provider
-- Add a provider to a clinic, or change one.
SELECT console.put_provider($1, $2, $3, $4, $5, $6) AS answer

-- name: set_photo
-- Give a provider a photo, or take it away.
SELECT console.set_photo($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: add_clinic_picture
-- Add a picture of a clinic.
SELECT console.add_clinic_picture($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: change_clinic_picture
-- Change what is said of a clinic's picture and its place, or remove it.
SELECT console.change_clinic_picture($1, $2, $3, $4, $5, $6) AS answer

-- name: put_service
-- Have a provider offer a service.
SELECT console.put_service($1, $2, $3, $4, $5, $6) AS answer

-- name: close_service
-- Close a service.
SELECT console.close_service($1, $2, $3, $4) AS answer

-- name: set_terms
-- Set the terms of new holds.
SELECT console.set_terms($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: day_sheet
-- A day of a clinic, as the desk sees it.
SELECT console.day_sheet($1, $2, $3, $4, $5, $6)

-- name: day_version
-- What changes with each change of a day sheet.
SELECT console.day_version($1, $2, $3)

-- name: record_attendance
-- Record what an appointment has come to.
SELECT * FROM console.record_attendance($1, $2, $3, $4, $5, $6, $7)

-- name: today_order
-- One doctor's order of today.
SELECT console.today_order($1, $2, $3, $4)

-- name: own_day
-- A doctor's own day.
SELECT console.own_day($1, $2, $3, $4, $5)

-- name: own_day_version
-- What changes with a doctor's own day.
SELECT console.own_day_version($1, $2, $3, $4)

-- name: board_setup
-- The key of a clinic's board, and how far off it was what patients were told.
SELECT console.board_setup($1, $2, $3)

-- name: renew_board
-- Give a clinic's board a new key.
SELECT console.renew_board($1, $2, $3, $4) AS answer

-- name: change_booking
-- Change an appointment at once.
SELECT * FROM console.change_booking($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: booking_money
-- The money of an appointment, step by step.
SELECT * FROM console.booking_money($1, $2, $3, $4)

-- name: failed_refunds
-- The refunds of a clinic that failed and nobody has seen to.
SELECT * FROM console.failed_refunds($1, $2, $3)

-- name: settle_refund
-- Have one of them be tried again, or note how it was paid instead.
SELECT console.settle_refund($1, $2, $3, $4, $5) AS answer

-- name: booking_history
-- What became of an appointment.
SELECT * FROM console.booking_history($1, $2, $3, $4)

-- name: booking_receipts
-- The receipts and credit notes for an appointment.
SELECT * FROM console.booking_receipts($1, $2, $3, $4)

-- name: no_show_rule
-- What a clinic does where somebody often does not come.
SELECT console.no_show_rule($1, $2, $3)

-- name: set_no_show_rule
-- Set it.
SELECT console.set_no_show_rule($1, $2, $3, $4, $5, $6) AS answer

-- name: phone_queue
-- The callers of a clinic who wait, and a person who is to join.
SELECT console.phone_queue($1, $2, $3, $4)

-- name: join_by_phone
-- Have a caller wait in a queue.
SELECT console.join_by_phone($1, $2, $3, $4, $5, $6, $7, $8) AS answer

-- name: serve_caller
-- Call, book or let go a caller.
SELECT console.serve_caller($1, $2, $3, $4, $5, $6, $7, $8) AS answer

-- name: find_people
-- Whom the desk looks for.
SELECT console.find_people($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: add_person
-- Add a person to the account of a number.
SELECT * FROM console.add_person($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: booking_choices
-- What can be booked for a person.
SELECT console.booking_choices($1, $2, $3, $4, $5, $6, $7)

-- name: book
-- Book a time for a person.
SELECT * FROM console.book($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: walk_in_doctors
-- Whom somebody without an appointment can see today.
SELECT console.walk_in_doctors($1, $2, $3)

-- name: walk_in
-- Take in somebody who came without an appointment.
SELECT * FROM console.walk_in($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: token_slip
-- A token as it is printed.
SELECT console.token_slip($1, $2, $3, $4)

-- name: overbook
-- Book a time that is taken.
SELECT * FROM console.overbook($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: desk_rules
-- How many walk-ins and overbooked a session may have.
SELECT console.desk_rules($1, $2, $3)

-- name: put_desk_rules
-- Set how many walk-ins and overbooked a session may have.
SELECT console.put_desk_rules($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: desk_payments
-- What was paid for an appointment at the desk, and what is owed.
SELECT console.desk_payments($1, $2, $3, $4)

-- name: record_payment
-- Record that a fee was paid at the desk.
SELECT console.record_payment($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS answer

-- name: return_payment
-- Record that the desk gave money back.
SELECT console.return_payment($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS answer

-- name: send_pay_link
-- Text a patient where to pay the clinic.
SELECT console.send_pay_link($1, $2, $3, $4, $5, $6) AS answer

-- name: till
-- A till, or one's own of today.
SELECT console.till($1, $2, $3, $4)

-- name: open_tills
-- One's own tills of former days that are open.
SELECT * FROM console.open_tills($1, $2, $3)

-- name: open_till
-- Open one's own till for today.
SELECT console.open_till($1, $2, $3, $4) AS answer

-- name: close_till
-- Close a till with what was counted.
SELECT console.close_till($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: reopen_till
-- Open a closed till again.
SELECT console.reopen_till($1, $2, $3, $4, $5) AS answer

-- name: tills
-- The tills of a clinic's days.
SELECT console.tills($1, $2, $3, $4)

-- name: money_cases
-- What did not agree with the gateways' lists.
SELECT * FROM console.money_cases($1, $2, $3, $4, $5, $6, $7)

-- name: money_checks
-- When each account was last compared.
SELECT * FROM console.money_checks($1, $2)

-- name: look_at_case
-- Have the gateway be looked at for a case.
SELECT console.look_at_case($1, $2, $3) AS answer

-- name: close_case
-- Close a case by hand.
SELECT console.close_case($1, $2, $3, $4) AS answer
