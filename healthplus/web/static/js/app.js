// What every page does better with JavaScript, and does without it too.
import "./connection.js";
import "./countdown.js";
import "./forms.js";
import "./zones.js";
